import type { Connect } from "./conversation.ts";
import type { PeerIdentity } from "./hello_forms.ts";
import { dialPeer, type PeerOptions } from "./peer_door.ts";
import { Requests } from "./requests.ts";

/** Milliseconds to open one. */
const TIMEOUT = 2000;

/** Opens conversations with other processes; what both have in common, and who this one is, is asked for each. */
export function conversations(of: { options: () => PeerOptions; identity: () => PeerIdentity }): Connect {
  return async (addr, kind, to) => {
    const { options, identity } = of;
    const { link, from, rest } = await dialPeer({ addr, to, kind, options: options(), identity, timeout: TIMEOUT });
    const requests = new Requests(link, rest);
    return {
      peer: from,
      lost: requests.lost,
      ask: (method, args, timeout) => requests.ask(method, args, timeout),
      close: () => requests.close(),
    };
  };
}
