import type { Snapshot } from "../../proxy/data_plane.ts";

/** Why a process is not to be sent clients; `undefined`: it is. */
export function whyNotReady({ gauges, upstreams, cluster }: Snapshot): string | undefined {
  if (gauges.draining) return "draining";
  if (cluster?.self.conflict !== undefined) return cluster.self.conflict;
  // It has no sessions, and needs no upstream.
  if (cluster?.self.role === "edge") {
    return cluster.nodes.some(({ state }) => state === "up") ? undefined : "no node is up";
  }
  const isUp = upstreams.length === 0 || upstreams.some(({ status }) => status === "up");
  return isUp ? undefined : "no upstream is up";
}
