/** Nodes and edges that are replaced by other processes, which go on as them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { balancer } from "../../helpers/cluster/balancer.ts";
import type { Keys, Member } from "../../helpers/cluster/member.ts";
import { TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { withRedis } from "../../helpers/cluster/with_redis.ts";
import { CAN_UPGRADE, EXECUTABLE } from "../../helpers/goscon.ts";
import { HAS_HAPROXY } from "../../helpers/haproxy.ts";
import { Random } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { HAS_REDIS } from "../../helpers/servers.ts";
import { stubUntil } from "../../helpers/stub_successor.ts";

/** Who has which slot and epoch, as each of them says. */
async function standing({ members }: TestCluster): Promise<unknown[]> {
  return await Promise.all(members.map(async (member) => {
    const { self: { slot, epoch, instance, takesNew }, nodes } = await member.ask("/cluster");
    // deno-lint-ignore no-explicit-any -- as the manager gives it
    return { slot, epoch, instance, takesNew, nodes: nodes.map((n: any) => [n.slot, n.epoch, n.instance]) };
  }));
}

/** How often one was not there for another. Not those that only did not answer in time: the machine has other things to do. */
function lossesOf({ members }: TestCluster): number {
  const reasons = members.flatMap((member) => member.eventsOf("node not there")).map(({ reason }) => String(reason));
  return reasons.filter((reason) => !/^no (answer|peer has answered)/.test(reason)).length;
}

/** What clients were told who were sent away as if their node was not there, or not known. */
function strayed({ members }: TestCluster): unknown[] {
  const reasons = members.flatMap((member) => member.eventsOf("handshake failed")).map(({ reason }) => String(reason));
  return reasons.filter((reason) => /^404|not known|there is no node/.test(reason));
}

/** The new process has so many threads: sessions of others go to these. */
async function upgraded(member: Member, workers: number): Promise<void> {
  const { status, result } = await member.upgrade({ ...member.keys, workers });
  assert.equal(status, 200, JSON.stringify(result));
}

Deno.test("nodes and an edge are upgraded under load: no session is lost, no byte is wrong, and peers notice nothing", {
  ignore: !CAN_UPGRADE || !HAS_HAPROXY,
}, async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({
    nodes: 3,
    edges: 1,
    cluster: () => ({ threads: 8 }),
    keys: (_, slot) => ({ workers: slot === 0 ? 6 : 2 }),
  });
  await using front = await balancer(cluster.addresses);
  await using traffic = await Traffic.open({ address: front.address, sessions: 20, cutWithin: 100_000, random });
  traffic.begin();
  const [before, losses] = [await standing(cluster), lossesOf(cluster)];
  const [first, ...others] = cluster.members as [Member, ...Member[]];
  await upgraded(first, 3);
  assert.deepEqual(await standing(cluster), before);
  // All at once, and the first one again.
  await Promise.all([upgraded(first, 1), ...others.map((member, i) => upgraded(member, 1 + 2 * (i % 2)))]);
  await traffic.more(2);
  assert.deepEqual(await standing(cluster), before);
  assert.equal(lossesOf(cluster), losses);
  assert.deepEqual(strayed(cluster), []);
  await traffic.end();
  traffic.assertWell();
  assert(Math.min(traffic.resumes(1), traffic.resumes(2)) > 0);
});

Deno.test(
  "an upgrade to another node, one with faults, and one that crashes as it serves, leave the node as it was",
  { ignore: !CAN_UPGRADE },
  async () => {
    const random = new Random();
    const dir = await Deno.makeTempDir();
    {
      await using cluster = TestCluster.prepare({ nodes: 2 });
      const [one, two] = cluster.nodes as [Member, Member];
      const at = one.at = join(dir, "program");
      await Deno.symlink(EXECUTABLE, at);
      await Promise.all(cluster.nodes.map((node) => node.start()));
      await Promise.all(cluster.nodes.map((node) => cluster.knowsAll(node)));
      let address = one.address;
      await using own = await Traffic.open({ address: "", sessions: 5, random, dial: () => tcp(address) });
      await using carried = await Traffic.open({ address: two.address, sessions: 5, cutWithin: 50_000, random });
      for (const traffic of [own, carried]) traffic.begin();
      const [before, losses] = [await standing(cluster), lossesOf(cluster)];
      const fails = async (keys: Keys, fault: RegExp) => {
        const { status, result } = await one.upgrade(keys);
        assert.equal(status, 422);
        assert.match(result.faults[0], fault);
        for (const traffic of [own, carried]) await traffic.more(2);
      };
      const another = { ...one.keys.cluster as Keys, name: "another", slot: 1 };
      await fails({ ...one.keys, cluster: another }, /^cluster\.name, cluster\.slot: no upgrade can/);
      await fails({ ...one.keys, hosts: 5 }, /: hosts: expected/);
      await Deno.remove(at);
      await Deno.writeTextFile(at, stubUntil("serving", "crash"), { mode: 0o755 });
      await fails(one.keys, /^the new process ended by SIGKILL$/);
      assert.deepEqual([await standing(cluster), lossesOf(cluster)], [before, losses]);
      // Others reach it still, who come anew.
      address = two.address;
      for (const talk of own.talks) talk.connection.cut();
      await own.more(2);
      for (const traffic of [own, carried]) await traffic.end();
    }
    await Deno.remove(dir, { recursive: true });
  },
);

Deno.test("nodes with slots of a Redis are upgraded under load, and each goes on with its lease", {
  ignore: !CAN_UPGRADE || !HAS_REDIS || !HAS_HAPROXY,
}, async () => {
  const random = new Random();
  await using all = await withRedis(3);
  const { cluster, redis } = all;
  await Promise.all(cluster.nodes.map((node) => node.start()));
  await Promise.all(cluster.nodes.map((node) => cluster.knowsAll(node)));
  const owners = async () => {
    const entries = await Promise.all([0, 1, 2].map((slot) => redis.ask("GET", `goscon:slot:${slot}`)));
    const version = await redis.ask("GET", "goscon:version");
    return [version, ...entries.map((entry) => ({ ...JSON.parse(entry), renewed: undefined }))];
  };
  await using front = await balancer(cluster.addresses);
  await using traffic = await Traffic.open({ address: front.address, sessions: 20, cutWithin: 100_000, random });
  traffic.begin();
  const [before, had, losses] = [await standing(cluster), await owners(), lossesOf(cluster)];
  await Promise.all(cluster.nodes.map((node) => upgraded(node, 2)));
  await traffic.more(2);
  assert.deepEqual([await standing(cluster), await owners(), lossesOf(cluster)], [before, had, losses]);
  for (const node of cluster.nodes) {
    assert.deepEqual([node.eventsOf("slot taken").length, node.eventsOf("slot lost").length], [1, 0]);
  }
  assert.deepEqual(strayed(cluster), []);
  await traffic.end();
  traffic.assertWell();
});
