import type { Endpoint } from "../../../link/link.ts";
import { type CarriedCounts, carriedKey, type ClusterInfo, type DescribedNode } from "../../cluster_info.ts";
import type { NodeMap } from "./map/node_map.ts";
import type { Watcher } from "./own/answers.ts";
import type { Own } from "./own/own_lives.ts";

/** What is so now, of a cluster. */
export type Described = Pick<ClusterInfo, "self" | "nodes" | "carried" | "edges">;

/** `carried`: what this process carried: see `Roads.counts`. */
export function describe(
  { role, addr, own, map, watchers, carried }: {
    role: "node" | "edge";
    addr: Endpoint;
    own: Own;
    map: NodeMap;
    watchers: readonly Watcher[];
    carried: ReadonlyMap<string, CarriedCounts>;
  },
): Described {
  const errors = new Map<string, string | undefined>();
  for (const { life, status } of map.lives()) errors.set(nameOf(life), status.error);
  for (const { slot, status } of map.places()) errors.set(nameOf({ slot }), status.error);
  const nodes = map.views().map((view): DescribedNode => {
    const error = errors.get(nameOf(view));
    const { connections = 0, failures = 0 } = carried.get(carriedKey(view.slot, view.instance)) ?? {};
    return { ...view, connections, failures, ...(error !== undefined && { error }) };
  });
  const { identity, former, takesNew, fault } = own;
  const edges = watchers.filter(({ role }) => role === "edge").map(({ instance, addr, since }) => {
    return { instance, since, ...(addr && { addr }) };
  });
  const conflict = fault === undefined ? {} : { conflict: fault };
  return { self: { ...identity, role, addr, takesNew, former, ...conflict }, nodes, carried: bySlot(carried), edges };
}

function bySlot(carried: ReadonlyMap<string, CarriedCounts>): Record<number, CarriedCounts> {
  const sum: Record<number, CarriedCounts> = {};
  for (const [key, { connections, failures }] of carried) {
    const slot = parseInt(key);
    const before = sum[slot] ?? { connections: 0, failures: 0 };
    sum[slot] = { connections: before.connections + connections, failures: before.failures + failures };
  }
  return sum;
}

function nameOf({ slot, epoch, instance }: { slot: number; epoch?: number; instance?: string }): string {
  return [slot, epoch, instance].join(" ");
}
