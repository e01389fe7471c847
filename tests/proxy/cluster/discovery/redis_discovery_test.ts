import assert from "node:assert/strict";
import type { Claim, Claimant, Found } from "../../../../lib/proxy/cluster/discovery/discovery.ts";
import { RedisDiscovery } from "../../../../lib/proxy/cluster/discovery/redis_discovery.ts";
import { StateDir } from "../../../../lib/proxy/cluster/discovery/state_dir.ts";
import { TestLog } from "../../../helpers/proxy.ts";
import { RedisServer } from "../../../helpers/redis_server.ts";
import { HAS_REDIS } from "../../../helpers/servers.ts";
import { settled } from "../../../helpers/turns.ts";

/** Short, so that no test waits for long for a server that has just started to give slots. */
const LEASE = 600;

interface Options {
  instance?: string;
  url?: string;
  prefix?: string;
  slots?: number;
  dir?: string;
  remembered?: [number, number][];
}

/** A node, or an edge when it claims nothing. */
async function nodeOf(
  server: RedisServer,
  { instance = "a", slots = 64, dir, remembered = [], ...more }: Options = {},
) {
  const { url = server.socket, prefix = "goscon:" } = more;
  const log = new TestLog();
  const told: (readonly Found[])[] = [];
  const lost: { lost: Claim; taker: string }[] = [];
  const waiting = new Set<() => void>();
  const claimed: Claim[] = [];
  const wake = () => waiting.forEach((resolve) => resolve());
  const state = await StateDir.open(dir, log);
  const settings = { url, prefix, slots, lease: LEASE, rest: LEASE, keep: 60_000 };
  const discovery = new RedisDiscovery({ ...settings, state, random: () => 0.5, now: () => performance.now(), log });
  const claimant: Claimant = {
    instance,
    addr: { hostname: "10.0.0.1", port: 1250 },
    remembered: new Map(remembered),
    onLost: (former, taker) => (lost.push({ lost: former, taker: taker.instance }), wake()),
    onClaimed: (claim) => (claimed.push(claim), wake()),
  };
  return {
    discovery,
    log,
    told,
    lost,
    claimed,
    claim: () => discovery.claim(claimant),
    goOn: (own: Claim | undefined, lost: Claim[] = []) => discovery.goOn(claimant, own, lost),
    watch: (known?: Found[]) => discovery.watch((found) => (told.push(found), wake()), known),
    /** Waits until something that it tells makes this so. */
    until: async (condition: () => boolean) => {
      while (!condition()) await new Promise<void>((resolve) => waiting.add(resolve));
    },
    /** Whom it knows, as `slot/epoch/instance`. */
    get known() {
      return (told.at(-1) ?? []).map(({ slot, epoch, instance }) => `${slot}/${epoch}/${instance}`).toSorted();
    },
    [Symbol.asyncDispose]: () => discovery.close(),
  };
}

function test(name: string, run: (server: RedisServer) => Promise<void>, ...args: string[]): void {
  Deno.test(name, { ignore: !HAS_REDIS }, async () => {
    await using server = await RedisServer.start(...args);
    await run(server);
  });
}

const entryOf = async (server: RedisServer, slot: number) => JSON.parse(await server.ask("GET", `goscon:slot:${slot}`));

/** Waits until Redis has it so. */
async function shows(server: RedisServer, slot: number, condition: (entry: { [key: string]: unknown }) => boolean) {
  for (;;) {
    const text = await server.ask("GET", `goscon:slot:${slot}`);
    if (text !== "" && condition(JSON.parse(text))) return;
  }
}

test("RedisDiscovery takes a slot, by chance in its epoch, and others find it", async (server) => {
  await using edge = await nodeOf(server);
  edge.watch();
  await using a = await nodeOf(server);
  assert.deepEqual(await a.claim(), { slot: 0, epoch: 2 });
  await edge.until(() => edge.known.length === 1);
  assert.deepEqual(edge.told.at(-1), [
    { slot: 0, epoch: 2, instance: "a", addr: { hostname: "10.0.0.1", port: 1250 } },
  ]);
});

test("RedisDiscovery keeps its slot for longer than the lease and the rest", async (server) => {
  await using a = await nodeOf(server);
  await a.claim();
  const { renewed } = await entryOf(server, 0);
  await shows(server, 0, (entry) => Number(entry.renewed) > renewed + 3 * LEASE);
  assert.equal(await server.ask("DBSIZE"), "4");
});

test("RedisDiscovery has no slot where all are taken, and says how many there are", async (server) => {
  await using a = await nodeOf(server, { slots: 1 });
  await a.claim();
  await using b = await nodeOf(server, { slots: 1, instance: "b" });
  await assert.rejects(b.claim(), { message: "all 1 slots are taken (cluster.slots)" });
  assert.equal(b.log.of("no slot").length, 1);
  await a.discovery.close();
  await using c = await nodeOf(server, { slots: 1, instance: "c" });
  assert.deepEqual(await c.claim(), { slot: 0, epoch: 3 });
});

test("RedisDiscovery of a host that starts again has its slot, in the next epoch", async (server) => {
  const dir = await Deno.makeTempDir();
  try {
    for (const epoch of [2, 3, 4]) {
      await using a = await nodeOf(server, { instance: `life ${epoch}`, dir });
      assert.deepEqual(await a.claim(), { slot: 0, epoch });
      await a.discovery.close();
    }
    // Redis has forgotten everything: the host has not, and the peers know more.
    await server.ask("FLUSHALL");
    await using b = await nodeOf(server, { instance: "b", dir });
    assert.deepEqual(await b.claim(), { slot: 0, epoch: 5 });
    await b.discovery.close();
    await server.ask("FLUSHALL");
    await using c = await nodeOf(server, { instance: "c", dir, remembered: [[0, 17]] });
    assert.deepEqual(await c.claim(), { slot: 0, epoch: 18 });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("RedisDiscovery that was given another's slot says so once, takes another one, and stays known by the old one", async (server) => {
  await using a = await nodeOf(server);
  a.watch();
  await a.claim();
  await using edge = await nodeOf(server);
  edge.watch();
  const taker = { instance: "b", epoch: 3, addr: "10.0.0.2:1250", renewed: Date.now() };
  await server.ask("SET", "goscon:slot:0", JSON.stringify(taker));
  await a.until(() => a.claimed.length > 0);
  assert.deepEqual(a.lost, [{ lost: { slot: 0, epoch: 2 }, taker: "b" }]);
  assert.deepEqual(a.claimed, [{ slot: 1, epoch: 2 }]);
  await edge.until(() => edge.known.length === 3);
  assert.deepEqual(edge.known, ["0/2/a", "0/3/b", "1/2/a"]);
  // It goes on renewing both.
  const { renewed } = (await entryOf(server, 0)).previous;
  await shows(server, 0, ({ previous }) => (previous as { renewed: number }).renewed > renewed + LEASE);
  const before = (await entryOf(server, 1)).renewed;
  await shows(server, 1, (entry) => Number(entry.renewed) > before + LEASE);
  assert.equal(a.lost.length, 1);
});

test("RedisDiscovery that was given another's slot, and finds none, tries on until one is free", async (server) => {
  await using a = await nodeOf(server, { slots: 1 });
  await a.claim();
  await server.ask("SET", "goscon:slot:0", `{"instance":"b","epoch":3,"addr":"h:1","renewed":${Date.now() + 1e6}}`);
  await a.log.nth("no slot");
  await server.ask("DEL", "goscon:slot:0");
  await a.until(() => a.claimed.length > 0);
  assert.deepEqual(a.claimed, [{ slot: 0, epoch: 3 }]);
  assert.equal(a.log.of("no slot").length, 1);
});

test("RedisDiscovery writes itself down again in a Redis that comes back empty, and forgets nobody meanwhile", async (server) => {
  await using a = await nodeOf(server);
  await using b = await nodeOf(server, { instance: "b" });
  await a.claim();
  a.watch();
  await b.claim();
  await a.until(() => a.known.length === 2);
  await server.kill();
  await Promise.all([a.log.nth("redis is away"), b.log.nth("redis is away")]);
  await server.start();
  // Who comes now takes nobody's slot.
  await using c = await nodeOf(server, { instance: "c" });
  const claim = c.claim();
  await Promise.all([shows(server, 0, () => true), shows(server, 1, () => true)]);
  assert.deepEqual(await claim, { slot: 2, epoch: 2 });
  await a.until(() => a.known.length === 3);
  assert.deepEqual(a.known, ["0/2/a", "1/2/b", "2/2/c"]);
  assert(a.told.slice(1).every((found) => found.length >= 2));
  assert.deepEqual([...a.lost, ...b.lost], []);
  assert.equal(a.log.of("redis is back").length, 1);
});

test("RedisDiscovery goes on while Redis stands still, and has its slot when that goes on", async (server) => {
  await using a = await nodeOf(server);
  await a.claim();
  a.watch();
  await a.until(() => a.known.length === 1);
  server.pause();
  assert.match(String((await a.log.nth("redis is away")).reason), /^no answer within \d+ ms$/);
  server.resume();
  await a.log.nth("redis is back");
  await shows(server, 0, ({ instance }) => instance === "a");
  assert.deepEqual(a.known, ["0/2/a"]);
  assert.deepEqual([a.lost, a.told.length], [[], 1]);
});

Deno.test(
  "RedisDiscovery waits for a Redis that is not there yet, and says once why",
  { ignore: !HAS_REDIS },
  async () => {
    await using server = await RedisServer.create();
    await using a = await nodeOf(server, { url: `redis://127.0.0.1:${server.port}/0` });
    const claim = a.claim();
    assert.match(String((await a.log.nth("redis is away")).reason), /ECONNREFUSED/);
    assert.equal(await settled(claim), false);
    await server.start();
    assert.deepEqual(await claim, { slot: 0, epoch: 2 });
    assert.equal(a.log.of("redis is away").length, 1);
  },
);

test(
  "RedisDiscovery says the password of the URL, and never tells it",
  async (server) => {
    const at = `127.0.0.1:${server.port}`;
    await using right = await nodeOf(server, { url: `redis://:s%2Fecret@${at}/3` });
    assert.deepEqual(await right.claim(), { slot: 0, epoch: 2 });
    for (const [url, reason] of [[`redis://:wrong@${at}`, /WRONGPASS/], [`redis://${at}`, /NOAUTH/]] as const) {
      await using wrong = await nodeOf(server, { url });
      const claim = wrong.claim();
      const told = await wrong.log.nth("redis is away");
      assert.match(String(told.reason), reason);
      assert.doesNotMatch(JSON.stringify(told), /wrong@|secret/);
      assert.equal(await settled(claim), false);
      await wrong.discovery.close();
      await assert.rejects(claim, { message: "the discovery is closed" });
    }
  },
  "--requirepass",
  "s/ecret",
);

test("RedisDiscovery ends, whether Redis is there, stands still or is gone, and gives its slot back where it can", async (server) => {
  for (const trouble of ["none", "still", "gone"]) {
    await using a = await nodeOf(server, { prefix: `${trouble}:` });
    await a.claim();
    if (trouble === "still") server.pause();
    if (trouble === "gone") await server.kill();
    await a.discovery.close();
    if (trouble === "none") assert.equal(JSON.parse(await server.ask("GET", "none:slot:0")).freed, true);
    if (trouble === "still") server.resume();
  }
});

test("RedisDiscovery keeps nodes of another prefix apart", async (server) => {
  await using a = await nodeOf(server, { prefix: "a:" });
  await using b = await nodeOf(server, { prefix: "b:", instance: "b" });
  assert.deepEqual([await a.claim(), await b.claim()], [{ slot: 0, epoch: 2 }, { slot: 0, epoch: 2 }]);
});

test("RedisDiscovery of a process that goes on for another renews the same lease, which that one does not give back", async (server) => {
  const before = await nodeOf(server);
  const claim = await before.claim();
  const version = await server.ask("GET", "goscon:version");
  before.discovery.isPassedOn = true;
  const known = [{ slot: 7, addr: { hostname: "10.0.0.8", port: 1250 } }];
  await using after = await nodeOf(server);
  after.goOn(claim);
  after.watch(known);
  assert.deepEqual(after.told, [known], "what the other one had found is known at once");
  await before.discovery.close();
  const { renewed } = await entryOf(server, 0);
  await shows(server, 0, (entry) => Number(entry.renewed) > renewed + 3 * LEASE && entry.freed === undefined);
  assert.equal(await server.ask("GET", "goscon:version"), version, "nothing has changed for others");
  assert.deepEqual([after.lost, after.claimed], [[], []]);
  await after.discovery.close();
  assert.equal((await entryOf(server, 0)).freed, true);
});

test("RedisDiscovery that goes on is told what the one before did not see, and that one takes no other slot", async (server) => {
  await using before = await nodeOf(server);
  const claim = await before.claim();
  before.discovery.isPassedOn = true;
  await server.ask("SET", "goscon:slot:0", `{"instance":"b","epoch":3,"addr":"h:1","renewed":${Date.now() + 1e6}}`);
  await before.until(() => before.lost.length > 0);
  await using after = await nodeOf(server);
  after.goOn(claim);
  await after.until(() => after.claimed.length > 0);
  assert.deepEqual(after.lost, [{ lost: claim, taker: "b" }]);
  assert.deepEqual([before.claimed, after.claimed], [[], [{ slot: 1, epoch: 2 }]]);
  // The process that was to take over has failed: it is the same one that goes on, and has the same slot.
  before.discovery.isPassedOn = false;
  await before.until(() => before.claimed.length > 0);
  assert.deepEqual(before.claimed, after.claimed);
});
