import type { ClusterInfo, DescribedNode, DescribedSelf } from "../../lib/proxy/cluster_info.ts";

const at = (host: number) => ({ hostname: `10.0.0.${host}`, port: 1250 });

/** Another node, of a slot. */
export function describedNode(slot: number, more: Partial<DescribedNode> = {}): DescribedNode {
  return {
    ...{ slot, epoch: 1, instance: `instance${slot}`, addr: at(slot), state: "up", since: 1_700_000_000_000 },
    ...{ takesNew: true, weight: 100, serves: [], connections: 0, failures: 0, ...more },
  };
}

/** What the node of slot 1 and epoch 5, or an edge, tells of its cluster. */
export function clusterInfo(
  nodes: DescribedNode[],
  { self = {}, edges = [], carried = {} }:
    & { self?: Partial<DescribedSelf> }
    & Partial<
      Pick<ClusterInfo, "edges" | "carried">
    > = {},
): ClusterInfo {
  const own = self.role === "edge" ? {} : { slot: 1, epoch: 5 };
  return {
    ...{ name: "game", discovery: "static", listen: { hostname: "0.0.0.0", port: 1250 }, nodes, edges, carried },
    self: { ...own, instance: "self", role: "node", addr: at(1), takesNew: true, former: [], ...self },
  };
}
