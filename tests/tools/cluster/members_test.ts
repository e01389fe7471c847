import assert from "node:assert/strict";
import { parseConfig } from "../../../lib/config.ts";
import { type ClusterPlan, membersOf } from "../../../lib/tools/cluster/members.ts";

/** What the configurations of a cluster say, by name. */
function configsOf(plan: Partial<ClusterPlan>) {
  const ports = (count: number) => Array.from({ length: count }, (_, i) => 2000 + i);
  const members = membersOf({ edge: 1248, ports, secret: "a secret of 20 bytes", dir: "/tmp/try", ...plan });
  return members.map(({ config, ...member }) => {
    const parsed = parseConfig(config, member.name);
    assert.deepEqual(parsed.warnings, []);
    return { ...member, config: parsed.config };
  });
}

for (const plan of [{}, { redis: 1999 }]) {
  Deno.test(`three nodes and an edge, ${plan.redis ? "with" : "without"} Redis, have configurations without a fault`, () => {
    const members = configsOf(plan);
    assert.deepEqual(members.map(({ config }) => config.cluster!.role), ["node", "node", "node", "edge"]);
    const bound = members.flatMap(({ config }) => [config.listen[0]!, config.cluster!.listen, config.manager!]);
    assert.equal(new Set(bound.map(({ port }) => port)).size, 12);
    for (const { hostname } of bound) assert.equal(hostname, "127.0.0.1");
    for (const { clients, peers, manager, config } of members) {
      const { listen, cluster } = config;
      assert.deepEqual([listen[0]!.port, cluster!.listen.port, config.manager!.port], [clients, peers, manager]);
      assert.equal(cluster!.discovery, plan.redis ? "redis" : "static");
    }
  });
}

Deno.test("without Redis each has the nodes in a list, with the slots and the addresses that they have", () => {
  const members = configsOf({});
  const nodes = members.slice(0, 3).map(({ config }) => ({ slot: config.cluster!.slot, ...config.cluster!.listen }));
  for (const { config } of members) assert.deepEqual(config.cluster!.nodes, nodes);
});
