import type { Snapshot } from "../../proxy/data_plane.ts";
import { type Add, one, type Sample } from "./samples.ts";

/** Those of a process that is not alone. */
export function addOfCluster(add: Add, { stats, gauges, cluster }: Snapshot): void {
  if (!cluster) return;
  const { name, self: { slot = "", epoch = "", instance, role, takesNew, conflict }, nodes, carried, edges } = cluster;
  const labels = { name, role, node: String(slot), epoch: String(epoch), id: instance };
  add("goscon_cluster_info", "gauge", "Who this process is in its cluster.", [{ value: 1, labels }]);
  const begins = "Whether this node has a slot in which it begins sessions.";
  add("goscon_cluster_takes_new", "gauge", begins, one(Number(takesNew)));
  const other = "Whether another instance has the slot of this one.";
  add("goscon_cluster_conflict", "gauge", other, one(Number(conflict !== undefined)));
  // Who had the slot of this one is no other node.
  const others = nodes.filter((node) => node.slot !== cluster.self.slot);
  const isUp = (slot: number) => nodes.some((node) => node.slot === slot && node.state === "up");
  const up = bySlot(others.map(({ slot }) => slot), (slot) => Number(isUp(slot)));
  add("goscon_cluster_node_up", "gauge", "Whether another node answers.", up);
  const slots = [...others.map(({ slot }) => slot), ...Object.keys(carried).map(Number)];
  const connections = bySlot(slots, (slot) => carried[slot]?.connections ?? 0);
  add("goscon_cluster_carried", "gauge", "Connections of clients that are carried to another node.", connections);
  const failures = bySlot(slots, (slot) => carried[slot]?.failures ?? 0);
  const help = "Connections of clients that could not be carried to another node.";
  add("goscon_cluster_carry_failures_total", "counter", help, failures);
  const carrying = "Connections of clients that this process carries, to all nodes.";
  add("goscon_cluster_carrying", "gauge", carrying, one(gauges.carrying));
  add("goscon_cluster_edges", "gauge", "Edges that watch this node.", one(edges.length));
  const refused = "Those who came to where peers connect, and are none.";
  add("goscon_cluster_peers_refused_total", "counter", refused, one(stats.peersRefused));
}

/** A sample for each slot. */
function bySlot(slots: readonly number[], valueOf: (slot: number) => number): Sample[] {
  return [...new Set(slots)].map((slot) => ({ value: valueOf(slot), labels: { node: String(slot) } }));
}
