/** Two nodes that were given one slot. */
import assert from "node:assert/strict";
import { HAS_LANS } from "../../helpers/cluster/lan.ts";
import { Member } from "../../helpers/cluster/member.ts";
import { slotOf, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { eventually } from "../../helpers/cluster/waiting.ts";
import { Random } from "../../helpers/random.ts";

/** What a host remembers that had the slot 0 in that epoch. */
async function remembering(epoch: number): Promise<{ dir: string } & AsyncDisposable> {
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(`${dir}/slots.json`, JSON.stringify({ slots: [{ slot: 0, epoch, instance: "former" }] }));
  return { dir, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

/** Another node of the slot 0, which knows of the node of slot 1 besides. */
function twinIn(cluster: TestCluster, dir: string): Member {
  const place = cluster.newPlace();
  const nodes = [
    { slot: 0, addr: `${place.hostname}:${place.peers}` },
    { slot: 1, addr: cluster.nodes[1]!.peerAddress },
  ];
  return new Member("twin", place, cluster.keysOf(place, { cluster: () => ({ nodes, state_dir: dir }) }, 0));
}

Deno.test(
  "of two nodes with one slot and epoch one begins no sessions, is not ready, and says why; those of both go on",
  {
    ignore: !HAS_LANS,
  },
  async () => {
    const random = new Random();
    await using memory = await remembering(6);
    await using twins = await remembering(6);
    await using cluster = await TestCluster.start({
      nodes: 2,
      cluster: (_, slot) => slot === 0 ? { state_dir: memory.dir } : {},
    });
    const [one, two] = cluster.nodes as [Member, Member];
    await using twin = twinIn(cluster, twins.dir);
    // So nobody tells it which epochs there are.
    cluster.lan!.cut(twin.place.hostname, two.place.hostname);
    await twin.start();
    await using first = await Traffic.open({ address: one.address, sessions: 10, cutWithin: 50_000, random });
    await using second = await Traffic.open({ address: twin.address, sessions: 10, cutWithin: 50_000, random });
    for (const traffic of [first, second]) traffic.begin();
    assert.deepEqual([...new Set([...first.talks, ...second.talks].map(({ id }) => slotOf(id)))], [0]);
    cluster.lan!.heal(twin.place.hostname, two.place.hostname);
    const { reason } = await twin.goscon.event(({ message }) => message === "this node begins no sessions");
    assert.match(String(reason), /^slot 0 and epoch 7 are those of another instance, /);
    assert(String(reason).includes(one.place.hostname));
    const ready = await eventually(async () => {
      const answer = await twin.manager("GET", "/readyz");
      return answer.status === 503 && answer;
    });
    assert.equal(ready.text, `${reason}\n`);
    assert.deepEqual([(await one.manager("GET", "/readyz")).status, one.eventsOf("this node begins no sessions")], [
      200,
      [],
    ]);
    await using third = await Traffic.open({ address: twin.address, sessions: 5, random });
    assert.deepEqual([...new Set(third.talks.map(({ id }) => slotOf(id)))], [1]);
    for (const traffic of [first, second]) {
      await traffic.more(3);
      await traffic.end();
      traffic.assertWell();
    }
  },
);

Deno.test("a node with the slot, and the list of nodes, of another one begins no sessions, is not ready, and says why", async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 2 });
  const [one, two] = cluster.nodes as [Member, Member];
  const place = cluster.newPlace();
  await using twin = new Member("twin", place, cluster.keysOf(place, {}, 0));
  await twin.start();
  const { reason } = await twin.goscon.event(({ message }) => message === "this node begins no sessions");
  assert.match(String(reason), /^another instance, .*: see cluster\.slot and cluster\.advertise$/);
  assert(String(reason).includes(one.place.hostname));
  await eventually(async () => (await twin.manager("GET", "/readyz")).text === `${reason}\n`);
  assert.equal((await one.manager("GET", "/readyz")).status, 200);
  // The others begin them for it.
  await cluster.knowsAll(twin, [two]);
  await using traffic = await Traffic.open({ address: twin.address, sessions: 20, cutWithin: 20_000, random });
  traffic.begin();
  await traffic.more(5);
  await traffic.end();
  traffic.assertWell();
  assert.equal(await twin.metric("goscon_sessions"), 0);
});
