import type { AcceptedLink } from "../../../link/engine/engine.ts";
import type { Remains } from "../../../link/flow.ts";
import { type Endpoint, formatEndpoint, reasonOf } from "../../../link/link.ts";
import type { Seams } from "../../seams.ts";
import type { Upstreams } from "../../upstream/upstream.ts";
import type { Moved } from "./moved.ts";
import type { Arrived } from "./parting.ts";

/** What it takes to go on over connections that came along. */
export interface Adopting {
  seams: Pick<Seams, "engine" | "log" | "stats">;
  upstreams: Upstreams;
}

/** The connections of a session that has come, over its descriptors, which these own from now on. */
export function adopted(
  { snapshot: { record }, client, backend }: Extract<Moved, { snapshot: unknown }>,
  descriptors: readonly number[],
  { seams, upstreams }: Adopting,
): Arrived {
  const left = [...descriptors];
  const come = client && adopt(left.shift()!, client, record.client, seams);
  const reached = backend && adopt(left.shift()!, backend, record.client, seams);
  if (come) come.onClose = () => seams.stats.closes++;
  return {
    client: client && come && { what: come, remains: client },
    backend: backend && reached && { what: upstreams.adopt(record.host, record.upstream, reached), remains: backend },
  };
}

/** `undefined`: it cannot be had, and is closed. */
function adopt(
  fd: number,
  remains: Remains,
  remote: Endpoint,
  { engine, log }: Pick<Seams, "engine" | "log">,
): AcceptedLink | undefined {
  try {
    return engine.adopt!(fd, remains, remote);
  } catch (error) {
    log.error("connection not taken", { client: formatEndpoint(remote), reason: reasonOf(error) });
    return undefined;
  }
}
