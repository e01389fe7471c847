/** Nodes that find each other by a Redis, which comes and goes. */
import assert from "node:assert/strict";
import { balancer } from "../../helpers/cluster/balancer.ts";
import { HAS_LANS } from "../../helpers/cluster/lan.ts";
import type { Member } from "../../helpers/cluster/member.ts";
import { LAYOUT, slotOf } from "../../helpers/cluster/test_cluster.ts";
import { Talk, Traffic } from "../../helpers/cluster/traffic.ts";
import { eventually } from "../../helpers/cluster/waiting.ts";
import { LEASE, REDIS, withRedis } from "../../helpers/cluster/with_redis.ts";
import { HAS_HAPROXY } from "../../helpers/haproxy.ts";
import { Random } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import type { RedisServer } from "../../helpers/redis_server.ts";
import { HAS_REDIS } from "../../helpers/servers.ts";

/** The slots that Redis knows to be had, each with its owner's address. */
async function slotsIn(redis: RedisServer): Promise<Map<number, string>> {
  const slots = new Map<number, string>();
  for (let slot = 0; slot < LAYOUT.slots; slot++) {
    const text = await redis.ask("GET", `goscon:slot:${slot}`).catch(() => "");
    if (text) slots.set(slot, JSON.stringify(JSON.parse(text).addr));
  }
  return slots;
}

/** How long ago the lease of a slot was renewed, in milliseconds, by the clock of Redis. */
async function age(redis: RedisServer, slot: number): Promise<number> {
  const { renewed } = JSON.parse(await redis.ask("GET", `goscon:slot:${slot}`));
  return Number((await redis.ask("TIME")).split("\n")[0]) * 1000 - renewed;
}

/** A new session at that node is its own: the slot of the node. */
async function slotAt({ address }: Member, random: Random): Promise<number> {
  const talk = await Talk.open(0, { address, sessions: 1, random });
  await talk.round();
  await talk.close();
  return slotOf(talk.id);
}

Deno.test(
  "while Redis is away all goes on; when it comes back empty nodes write themselves down, and a new one joins",
  {
    ignore: !HAS_REDIS || !HAS_HAPROXY,
  },
  async () => {
    const random = new Random();
    await using all = await withRedis(4);
    const { cluster, redis } = all;
    const running = cluster.nodes.slice(0, 3);
    const late = cluster.nodes[3]!;
    await Promise.all(running.map((node) => node.start()));
    for (const node of running) await cluster.knowsAll(node, running);
    const before = await slotsIn(redis);
    assert.deepEqual([...before.keys()], [0, 1, 2]);
    await using front = await balancer(running.map(({ address }) => address));
    await using traffic = await Traffic.open({ address: front.address, sessions: 30, cutWithin: 100_000, random });
    traffic.begin();
    await redis.kill();
    for (const node of running) await node.goscon.event(({ message }) => message === "redis is away");
    const slots = await Promise.all(running.map((node) => slotAt(node, random)));
    await traffic.more(5);
    const starting = late.start();
    starting.catch(() => {}); // awaited below
    await redis.start();
    await eventually(async () => (await slotsIn(redis)).size >= 3);
    for (const [slot, addr] of before) assert.equal((await slotsIn(redis)).get(slot), addr);
    await starting;
    await cluster.knowsAll(late, running);
    for (const node of running) await cluster.knowsAll(node, [late]);
    assert.equal(await slotAt(late, random), 3);
    assert.deepEqual(await Promise.all(running.map((node) => slotAt(node, random))), slots);
    await traffic.more(5);
    await traffic.end();
    traffic.assertWell();
    for (const node of running) assert.deepEqual(node.eventsOf("slot lost"), []);
  },
);

Deno.test("a node that is cut from Redis alone goes on, with new sessions, and keeps its slot", {
  ignore: !HAS_REDIS || !HAS_LANS,
}, async () => {
  const random = new Random();
  await using all = await withRedis(2);
  const { cluster, redis } = all;
  const [one, two] = cluster.nodes as [Member, Member];
  await Promise.all(cluster.nodes.map((node) => node.start()));
  for (const node of cluster.nodes) await cluster.knowsAll(node);
  const slot = await slotAt(one, random);
  await using traffic = await Traffic.open({ address: one.address, sessions: 10, cutWithin: 50_000, random });
  await using carried = await Traffic.open({ address: two.address, sessions: 10, cutWithin: 50_000, random });
  for (const each of [traffic, carried]) each.begin();
  cluster.lan!.cut(one.place.hostname, cluster.here(REDIS));
  await one.goscon.event(({ message }) => message === "redis is away");
  await eventually(async () => await age(redis, slot) > 2 * LEASE);
  assert.equal(await slotAt(one, random), slot);
  for (const each of [traffic, carried]) await each.more(5);
  assert.deepEqual(two.eventsOf("redis is away"), []);
  cluster.lan!.heal(one.place.hostname, cluster.here(REDIS));
  await one.goscon.event(({ message }) => message === "redis is back");
  assert.equal(await slotAt(one, random), slot);
  for (const each of [traffic, carried]) {
    await each.end();
    each.assertWell();
  }
});

Deno.test("a node whose slot another one has taken begins sessions in another slot, and has its old ones still", {
  ignore: !HAS_REDIS || !HAS_LANS,
}, async () => {
  const random = new Random();
  // A slot rests for reuse_time after its lease.
  await using all = await withRedis(3, () => ({ scp: { reuse_time: "6s", v2: { reuse_time: "6s" } } }));
  const { cluster, redis } = all;
  const [one, two, taker] = cluster.nodes as [Member, Member, Member];
  await Promise.all([one, two].map((node) => node.start()));
  for (const node of [one, two]) await cluster.knowsAll(node, [one, two]);
  const slot = await slotAt(one, random);
  await using traffic = await Traffic.open({ address: two.address, sessions: 10, random });
  let at = one.address;
  await using own = await Traffic.open({ address: "", sessions: 10, random, dial: () => tcp(at) });
  for (const each of [traffic, own]) each.begin();
  cluster.lan!.cut(one.place.hostname, cluster.here(REDIS));
  await eventually(async () => !(await slotsIn(redis)).has(slot));
  await taker.start();
  assert.equal(await slotAt(taker, random), slot);
  // It cannot know of that but by Redis; their epochs differ.
  assert.equal(await slotAt(one, random), slot);
  for (const each of [traffic, own]) await each.more(3);
  cluster.lan!.heal(one.place.hostname, cluster.here(REDIS));
  assert.equal((await one.goscon.event(({ message }) => message === "slot lost")).slot, slot);
  const next = await eventually(async () => (await one.ask("/cluster")).self.takesNew && slotAt(one, random));
  assert(![slot, await slotAt(two, random)].includes(next), `slot ${next}`);
  // Also for those who come by a node that knows who has the slot now.
  at = two.address;
  for (const talk of own.talks) talk.connection.cut();
  for (const each of [traffic, own]) {
    await each.more(3);
    await each.end();
    each.assertWell();
  }
  assert.equal((await one.manager("GET", "/readyz")).status, 200);
});
