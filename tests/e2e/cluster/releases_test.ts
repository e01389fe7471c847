/** Nodes and edges of the release before, and of this one. */
import assert from "node:assert/strict";
import { TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { eventually } from "../../helpers/cluster/waiting.ts";
import { BEFORE } from "../../helpers/goscon.ts";
import { Random } from "../../helpers/random.ts";

/** Which of two nodes and an edge are of the release before. */
const MIXED = [[true, false, false], [false, false, true], [false, true, true]] as const;

for (const mix of MIXED) {
  const names = mix.map((isBefore, i) => `${i < 2 ? "node" : "edge"} ${isBefore ? "before" : "now"}`).join(", ");
  Deno.test(`releases work together: ${names}`, { ignore: BEFORE === undefined }, async () => {
    const random = new Random();
    await using cluster = TestCluster.prepare({ nodes: 2, edges: 1 });
    for (const [i, member] of cluster.members.entries()) if (mix[i]) member.release = BEFORE;
    await Promise.all(cluster.members.map((member) => member.start()));
    await Promise.all(cluster.members.map((member) => cluster.knowsAll(member)));
    // By whichever of the three.
    for (const { address } of cluster.members) {
      await using traffic = await Traffic.open({ address, sessions: 10, cutWithin: 20_000, random });
      traffic.begin();
      await traffic.more(3);
      await traffic.end();
      traffic.assertWell();
      assert(
        traffic.resumes(1) > 10 && traffic.resumes(2) > 10,
        `only ${traffic.resumes(1)} and ${traffic.resumes(2)}`,
      );
    }
    // Those of version 1 are kept for a while: each asks the others.
    const totals = () =>
      Promise.all(cluster.members.map(async (member) => (await member.ask("/sessions?limit=1")).total));
    await eventually(async () => new Set(await totals()).size === 1);
    assert((await totals())[0] > 0);
    for (const member of cluster.members) {
      assert.deepEqual(member.eventsOf("internal error"), []);
      assert.deepEqual(member.eventsOf("peer refused"), []);
    }
  });
}
