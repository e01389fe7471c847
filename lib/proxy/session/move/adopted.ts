import type { Remains } from "../../../link/flow.ts";
import { isOfKcp, type RemainsOfKcp } from "../../../link/kcp/conversation.ts";
import { formatEndpoint, type Link, reasonOf } from "../../../link/link.ts";
import type { Seams } from "../../seams.ts";
import type { Upstreams } from "../../upstream/upstream.ts";
import type { Moved } from "./moved.ts";
import type { Arrived } from "./parting.ts";

/** What it takes to go on over connections that came along. */
export interface Adopting {
  seams: Pick<Seams, "engine" | "log" | "stats">;
  upstreams: Upstreams;
  /** Goes on with a conversation of KCP, by a descriptor of its socket, which it owns. Throws when it cannot. */
  adoptKcp: (fd: number, remains: RemainsOfKcp) => Link;
}

/** The connections of a session that has come, over its descriptors, which these own from now on. */
export function adopted(
  { snapshot: { record }, client, backend }: Extract<Moved, { snapshot: unknown }>,
  descriptors: readonly number[],
  { seams, upstreams, adoptKcp }: Adopting,
): Arrived {
  const { engine, log, stats } = seams;
  const left = [...descriptors];
  const overSocket = (fd: number, remains: Remains) => engine.adopt!(fd, remains, record.client);
  const ofClient = (fd: number, remains: Remains): Link => {
    if (isOfKcp(remains)) return adoptKcp(fd, remains);
    return Object.assign(overSocket(fd, remains), { onClose: () => stats.closes++ });
  };
  const adopt = <T>(remains: Remains | undefined, how: (fd: number, remains: Remains) => T): T | undefined => {
    try {
      return remains && how(left.shift()!, remains);
    } catch (error) {
      log.error("connection not taken", { client: formatEndpoint(record.client), reason: reasonOf(error) });
      return undefined; // it is closed
    }
  };
  const come = adopt(client, ofClient);
  const reached = adopt(backend, overSocket);
  return {
    client: client && come && { what: come, remains: client },
    backend: backend && reached && { what: upstreams.adopt(record.host, record.upstream, reached), remains: backend },
  };
}
