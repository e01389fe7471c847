/** A secret that is replaced by another one, while all goes on. */
import assert from "node:assert/strict";
import type { Keys, Member } from "../../helpers/cluster/member.ts";
import { SECRETS, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { Random } from "../../helpers/random.ts";

const [OLD, NEW] = [SECRETS[0]!, "the next secret of all nodes"];

async function setSecrets(member: Member, secrets: string[]): Promise<void> {
  member.keys = { ...member.keys, cluster: { ...member.keys.cluster as Keys, secrets } };
  await member.reload();
}

Deno.test("secrets are replaced node by node without a restart, and no session is lost", async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 2, edges: 1 });
  const edge = cluster.edges[0]!;
  await using traffic = await Traffic.open({ address: edge.address, sessions: 20, cutWithin: 20_000, random });
  traffic.begin();
  for (const secrets of [[OLD, NEW], [NEW, OLD], [NEW]]) {
    for (const member of cluster.members) {
      await setSecrets(member, secrets);
      await traffic.more(1);
    }
  }
  await cluster.nodes[0]!.manager("GET", "/healthz");
  await traffic.more(5);
  await traffic.end();
  traffic.assertWell();
  for (const member of cluster.members) assert.deepEqual(member.eventsOf("peer refused"), []);
});
