import type { Remains } from "../flow.ts";
import type { Endpoint } from "../link.ts";
import type { KcpSnapshot } from "./machine/kcp.ts";

/** A conversation with a client, as plain data: another process, or thread, goes on from it over the same socket. */
export interface Conversation {
  conv: number;
  machine: KcpSnapshot;
  /** The numbers of its FEC, and that of the datagram with which the next group begins; missing: it has none. */
  fec: { data: number; parity: number; next: number } | undefined;
  /** Milliseconds since anything of the client came, and since bytes of the stream came. */
  heardFor: number;
  fedFor: number;
  place: ConversationPlace;
}

/** Where a conversation is had. */
export interface ConversationPlace {
  /** The address of its listener. */
  at: Endpoint;
  /** See `PassableDatagrams`: its socket, and who the client is there. */
  cookie: number;
  peer: Uint8Array<ArrayBuffer>;
}

/** What remains of a flow that was a conversation: its descriptor is one of the socket, which others have too. */
export interface RemainsOfKcp extends Remains {
  conversation: Conversation;
}

export function isOfKcp(remains: Remains): remains is RemainsOfKcp {
  return (remains as Partial<RemainsOfKcp>).conversation !== undefined;
}
