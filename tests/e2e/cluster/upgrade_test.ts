/** Nodes and edges that are replaced by other processes, which go on as them. */
import assert from "node:assert/strict";
import { balancer } from "../../helpers/cluster/balancer.ts";
import type { Keys, Member } from "../../helpers/cluster/member.ts";
import { TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { HAS_HAPROXY } from "../../helpers/haproxy.ts";
import { Random } from "../../helpers/random.ts";

const LINUX = { ignore: Deno.build.os !== "linux" || Deno.env.get("GOSCON_IO") === "deno" };

/** Who has which slot and epoch, and how they are, as each of them says. */
async function standing({ members }: TestCluster): Promise<unknown[]> {
  return await Promise.all(members.map(async (member) => {
    const { self: { slot, epoch, instance, takesNew }, nodes } = await member.ask("/cluster");
    // deno-lint-ignore no-explicit-any -- as the manager gives it
    return { slot, epoch, instance, takesNew, nodes: nodes.map((n: any) => [n.slot, n.epoch, n.instance, n.state]) };
  }));
}

function lossesOf({ members }: TestCluster): number {
  return members.flatMap((member) => member.eventsOf("node not there")).length;
}

async function upgraded(member: Member): Promise<void> {
  const { status, result } = await member.upgrade();
  assert.equal(status, 200, JSON.stringify(result));
}

Deno.test("nodes and an edge are upgraded under load: no session is lost, no byte is wrong, and peers notice nothing", {
  ignore: LINUX.ignore || !HAS_HAPROXY,
}, async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 3, edges: 1 });
  await using front = await balancer(cluster.addresses);
  await using traffic = await Traffic.open({ address: front.address, sessions: 40, cutWithin: 100_000, random });
  traffic.begin();
  const [before, losses] = [await standing(cluster), lossesOf(cluster)];
  const [first, ...others] = cluster.members as [Member, ...Member[]];
  // Alone, so that what it does not know is known by others; and then all at once.
  await upgraded(first);
  assert.deepEqual(await standing(cluster), before);
  await Promise.all(others.map(upgraded));
  await traffic.more(2);
  assert.deepEqual(await standing(cluster), before);
  assert.equal(lossesOf(cluster), losses);
  await traffic.end();
  traffic.assertWell();
  assert(Math.min(traffic.resumes(1), traffic.resumes(2)) > 0);
});

Deno.test(
  "an upgrade to another node, or to none, and a file with faults are refused, and the node goes on",
  LINUX,
  async () => {
    const random = new Random();
    await using cluster = await TestCluster.start({ nodes: 2 });
    const [one, two] = cluster.nodes as [Member, Member];
    await using own = await Traffic.open({ address: one.address, sessions: 5, random });
    await using carried = await Traffic.open({ address: two.address, sessions: 5, cutWithin: 50_000, random });
    for (const traffic of [own, carried]) traffic.begin();
    const [before, losses] = [await standing(cluster), lossesOf(cluster)];
    const { cluster: section, ...alone } = one.keys as { cluster: Keys };
    const refused: [Keys, RegExp][] = [
      [
        { ...alone, cluster: { ...section, name: "another", slot: 1 } },
        /^cluster\.name, cluster\.slot: no upgrade can/,
      ],
      [alone, /^cluster: no upgrade can/],
      [{ ...one.keys, hosts: 5 }, /: hosts: expected/],
    ];
    for (const [keys, fault] of refused) {
      const { status, result } = await one.upgrade(keys);
      assert.equal(status, 422);
      assert.match(result.faults[0], fault);
      for (const traffic of [own, carried]) await traffic.more(2);
    }
    assert.deepEqual([await standing(cluster), lossesOf(cluster)], [before, losses]);
    for (const traffic of [own, carried]) await traffic.end();
  },
);
