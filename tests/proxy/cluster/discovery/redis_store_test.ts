import assert from "node:assert/strict";
import { RedisStore } from "../../../../lib/proxy/cluster/discovery/redis_store.ts";
import type { Had } from "../../../../lib/proxy/cluster/discovery/state_dir.ts";
import { RedisServer } from "../../../helpers/redis_server.ts";
import { HAS_REDIS } from "../../../helpers/servers.ts";

const LEASE = 20_000;
const REST = 30_000;

let prefixes = 0;

/** A store with keys of its own, of which it says since when nodes have been there. */
function storeOf(server: RedisServer, { slots = 4, prefix = `test-${prefixes++}:` } = {}) {
  const store = new RedisStore({ url: server.socket, prefix, slots, lease: LEASE, rest: REST });
  return {
    store,
    /** Whether that of the lease that nobody takes a slot in is over. */
    open: () => server.ask("SET", `${prefix}since`, "1"),
    entry: async (slot: number) => JSON.parse(await server.ask("GET", `${prefix}slot:${slot}`)),
    put: (slot: number, entry: unknown) =>
      server.ask(
        "SET",
        `${prefix}slot:${slot}`,
        typeof entry === "string" ? entry : JSON.stringify(entry),
        "PX",
        "60000",
      ),
    ttl: async (slot: number) => Number(await server.ask("PTTL", `${prefix}slot:${slot}`)),
    prefix,
    [Symbol.dispose]: () => store.close(),
  };
}

const writer = (instance: string) => ({ instance, addr: { hostname: "10.0.0.1", port: 1250 } });
const wish = ({ had = [], remembered = [], chance = 2 }: {
  had?: Had[];
  remembered?: [number, number][];
  chance?: number;
} = {}) => ({ had, remembered: new Map(remembered), chance });

/** An owner as it stands in Redis, `ago` milliseconds after it renewed its slot. */
const owner = (instance: string, epoch: number, ago = 0) => ({
  ...{ instance, epoch, addr: "10.0.0.9:1250", renewed: Date.now() - ago },
});

/** Runs with a server that has been up for longer than a lease, as far as it can tell. */
function test(name: string, run: (server: RedisServer) => Promise<void>): void {
  Deno.test(name, { ignore: !HAS_REDIS }, async () => {
    // Nobody may ask how long it is up: what it says then is looked at in a test of its own.
    await using server = await RedisServer.start("--user", ..."default on nopass ~* +@all -info".split(" "));
    await run(server);
  });
}

test("RedisStore takes the lowest free slot, and writes down who has it, for the lease and the rest", async (server) => {
  using at = storeOf(server);
  await at.open();
  await at.put(0, owner("other", 1));
  const before = Date.now();
  assert.deepEqual(await at.store.claim(writer("a"), wish()), { claim: { slot: 1, epoch: 2 } });
  const { renewed, ...entry } = await at.entry(1);
  assert.deepEqual(entry, { instance: "a", epoch: 2, addr: "10.0.0.1:1250" });
  assert(renewed >= before && renewed <= Date.now());
  const ttl = await at.ttl(1);
  assert(ttl > LEASE && ttl <= LEASE + REST, String(ttl));
});

test("RedisStore gives the slot again to whom the answer was lost", async (server) => {
  using at = storeOf(server);
  await at.open();
  const first = await at.store.claim(writer("a"), wish());
  assert.deepEqual(await at.store.claim(writer("a"), wish()), first);
});

test("RedisStore gives the slot that the host had last, of those that are free", async (server) => {
  using at = storeOf(server);
  await at.open();
  await at.put(3, owner("other", 1));
  const had = [3, 2, 1].map((slot) => ({ slot, epoch: 0, instance: "before" }));
  assert.deepEqual(await at.store.claim(writer("a"), wish({ had })), { claim: { slot: 2, epoch: 2 } });
});

test("RedisStore leaves a slot that the host had alone when another process has it, or had it since", async (server) => {
  using at = storeOf(server);
  await at.open();
  await at.put(2, owner("before", 1));
  await at.put(3, owner("another host", 1, LEASE + 1000));
  const had = [
    { slot: 2, epoch: 1, instance: "before" },
    { slot: 3, epoch: 0, instance: "long before" },
    { slot: 77, epoch: 1, instance: "more slots" },
  ];
  assert.deepEqual(await at.store.claim(writer("a"), wish({ had })), { claim: { slot: 0, epoch: 2 } });
});

test("RedisStore lets a slot rest that was given back, but for the host that had it", async (server) => {
  using at = storeOf(server);
  await at.open();
  await at.store.claim(writer("a"), wish());
  await at.store.release(writer("a"), { slot: 0, epoch: 2 });
  const ttl = await at.ttl(0);
  assert(ttl > 0 && ttl <= REST, String(ttl));
  assert.deepEqual(await at.store.claim(writer("b"), wish()), { claim: { slot: 1, epoch: 2 } });
  const had = [{ slot: 0, epoch: 2, instance: "a" }];
  assert.deepEqual(await at.store.claim(writer("c"), wish({ had })), { claim: { slot: 0, epoch: 3 } });
  const { previous } = await at.entry(0);
  assert.equal(previous.instance, "a");
  assert.equal(previous.epoch, 2);
});

test("RedisStore gives the slot that rests longest when none is free, and says who had it", async (server) => {
  using at = storeOf(server);
  await at.open();
  await at.put(0, owner("a", 4));
  await at.put(1, owner("b", 5, LEASE + 1000));
  await at.put(2, { ...owner("c", 6, LEASE + 2000), previous: owner("d", 9, LEASE + 9000) });
  await at.put(3, owner("e", 7, LEASE - 5000));
  assert.deepEqual(await at.store.claim(writer("f"), wish()), { claim: { slot: 2, epoch: 10 } });
  const { previous } = await at.entry(2);
  assert.equal(previous.instance, "c");
  assert.equal(previous.previous, undefined);
});

test("RedisStore says so when all slots are taken", async (server) => {
  using at = storeOf(server);
  await at.open();
  for (const slot of [0, 1, 2, 3]) await at.put(slot, owner(`other ${slot}`, 1));
  assert.equal(await at.store.claim(writer("a"), wish()), "full");
});

test("RedisStore gives 20 that claim at once 20 slots", async (server) => {
  const prefix = "race:";
  using at = storeOf(server, { slots: 20, prefix });
  await at.open();
  const all = Array.from({ length: 20 }, () => storeOf(server, { slots: 20, prefix }));
  try {
    const taken = await Promise.all(all.map(({ store }, i) => store.claim(writer(`claimant ${i}`), wish())));
    const slots = taken.map((one) => typeof one === "object" && "claim" in one ? one.claim.slot : one);
    assert.deepEqual(slots.toSorted((a, b) => Number(a) - Number(b)), Array.from({ length: 20 }, (_, slot) => slot));
  } finally {
    for (const { store } of all) store.close();
  }
});

test("RedisStore counts on from the largest epoch that anyone remembers", async (server) => {
  using at = storeOf(server, { slots: 1 });
  await at.open();
  const next = async (remembered: [number, number][]) => {
    await server.ask("DEL", `${at.prefix}slot:0`);
    return await at.store.claim(writer("a"), wish({ remembered, chance: 0 }));
  };
  assert.deepEqual(await next([[0, 0]]), { claim: { slot: 0, epoch: 1 } }, "the peers");
  assert.deepEqual(await next([[1, 90]]), { claim: { slot: 0, epoch: 2 } }, "Redis, after the slot has rested");
  await server.ask("HSET", `${at.prefix}epochs`, "0", "40");
  assert.deepEqual(await next([[0, 39]]), { claim: { slot: 0, epoch: 41 } });
  assert.deepEqual(await next([[0, 41]]), { claim: { slot: 0, epoch: 42 } });
});

test("RedisStore renews a slot, and leaves alone who had it before", async (server) => {
  using at = storeOf(server);
  const previous = owner("before", 4, 1000);
  await at.put(1, { ...owner("a", 5, LEASE - 1000), previous });
  const before = Date.now();
  assert.equal(await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, false), undefined);
  const entry = await at.entry(1);
  assert(entry.renewed >= before);
  assert.deepEqual(entry.previous, previous);
  // Which has no sessions any more once its lease and the rest are over.
  await at.put(1, { ...owner("a", 5), previous: owner("before", 4, LEASE + REST + 1) });
  await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, false);
  assert.equal((await at.entry(1)).previous, undefined);
});

test("RedisStore renews a slot that is over, or that Redis has forgotten, as long as no other has it", async (server) => {
  using at = storeOf(server);
  await at.put(1, owner("a", 5, LEASE + 5000));
  assert.equal(await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, false), undefined);
  await server.ask("FLUSHALL");
  assert.equal(await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, false), undefined);
  assert.equal((await at.entry(1)).instance, "a");
  assert.equal(await server.ask("HGET", `${at.prefix}epochs`, "1"), "5");
});

test("RedisStore tells who has the slot instead, and writes the former owner down beside", async (server) => {
  using at = storeOf(server);
  await at.put(1, owner("b", 6));
  for (const isLost of [false, true]) {
    const taker = await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, isLost);
    assert.deepEqual(taker, { slot: 1, instance: "b", epoch: 6 });
  }
  const entry = await at.entry(1);
  assert.equal(entry.instance, "b");
  assert.equal(entry.previous.instance, "a");
  assert(await at.ttl(1) <= 60_000);
  const found = await at.store.look(true);
  assert.deepEqual(found?.map(({ slot, epoch, instance }) => [slot, epoch, instance]), [[1, 6, "b"], [1, 5, "a"]]);
});

test("RedisStore tells one owner from the same in another epoch of the slot", async (server) => {
  using at = storeOf(server);
  await at.put(1, owner("a", 6));
  assert.deepEqual(await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, true), {
    slot: 1,
    instance: "a",
    epoch: 6,
  });
  const entry = await at.entry(1);
  assert.deepEqual([entry.epoch, entry.previous.epoch], [6, 5]);
});

test("RedisStore does not write a former owner down over another that lives, nor where Redis has forgotten the slot", async (server) => {
  using at = storeOf(server);
  await at.put(1, { ...owner("b", 6), previous: owner("c", 4) });
  await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, true);
  assert.equal((await at.entry(1)).previous.instance, "c");
  await server.ask("FLUSHALL");
  assert.equal(await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, true), undefined);
  assert.equal(await server.ask("EXISTS", `${at.prefix}slot:1`), "0");
});

test("RedisStore gives nothing back that another has", async (server) => {
  using at = storeOf(server);
  const entry = owner("b", 6);
  await at.put(1, entry);
  await at.store.release(writer("a"), { slot: 1, epoch: 5 });
  await at.store.release(writer("b"), { slot: 1, epoch: 5 });
  assert.deepEqual(await at.entry(1), entry);
});

test("RedisStore gives no slot for a lease after everything was forgotten, nor does it begin again while one waits", async (server) => {
  using at = storeOf(server);
  const first = await at.store.claim(writer("a"), wish());
  assert(typeof first === "object" && "wait" in first && first.wait > LEASE - 5000 && first.wait <= LEASE);
  const since = await server.ask("GET", `${at.prefix}since`);
  await at.store.claim(writer("a"), wish());
  assert.equal(await server.ask("GET", `${at.prefix}since`), since);
  await server.ask("SET", `${at.prefix}since`, String(Number(since) - LEASE));
  assert.deepEqual(await at.store.claim(writer("a"), wish()), { claim: { slot: 0, epoch: 2 } });
});

test("RedisStore gives no slot for a lease after all nodes were away for two", async (server) => {
  using at = storeOf(server);
  await at.store.renew(writer("a"), { slot: 1, epoch: 5 }, false);
  const ttl = Number(await server.ask("PTTL", `${at.prefix}since`));
  assert(ttl > LEASE && ttl <= 2 * LEASE, String(ttl));
});

Deno.test(
  "RedisStore gives no slot for a lease after Redis started, whatever it had kept",
  { ignore: !HAS_REDIS },
  async () => {
    await using server = await RedisServer.start();
    using at = storeOf(server);
    await at.open();
    const taken = await at.store.claim(writer("a"), wish());
    assert(typeof taken === "object" && "wait" in taken && taken.wait > LEASE - 5000 && taken.wait <= LEASE);
  },
);

test("RedisStore looks at all only when someone has come or gone", async (server) => {
  using at = storeOf(server);
  using other = storeOf(server, { prefix: at.prefix });
  await at.open();
  assert.deepEqual(await other.store.look(false), []);
  assert.equal(await other.store.look(false), undefined);
  await at.store.claim(writer("a"), wish());
  const found = [{ slot: 0, epoch: 2, instance: "a", addr: { hostname: "10.0.0.1", port: 1250 } }];
  assert.deepEqual(await other.store.look(false), found);
  await at.store.renew(writer("a"), { slot: 0, epoch: 2 }, false);
  assert.equal(await other.store.look(false), undefined);
  await server.ask("FLUSHALL");
  assert.deepEqual(await other.store.look(false), []);
  await at.store.renew(writer("a"), { slot: 0, epoch: 2 }, false);
  assert.deepEqual(await other.store.look(false), found);
  assert.equal(await other.store.look(false), undefined);
  assert.deepEqual(await other.store.look(true), found);
  await at.store.release(writer("a"), { slot: 0, epoch: 2 });
  assert.deepEqual(await other.store.look(false), []);
  await at.store.renew(writer("b"), { slot: 0, epoch: 1 }, false);
  assert.deepEqual((await other.store.look(false))?.map(({ instance }) => instance), ["b"]);
  await at.store.renew(writer("b"), { slot: 0, epoch: 1 }, true);
  assert.equal(await other.store.look(false), undefined);
});

test("RedisStore takes what is not of ours for a free slot", async (server) => {
  const junk = ["", "x", "7", "null", "[]", '{"instance":1}', '{"instance":"a","epoch":"1","renewed":1}'];
  using at = storeOf(server, { slots: junk.length });
  await at.open();
  for (const [slot, text] of junk.entries()) await at.put(slot, text);
  assert.deepEqual(await at.store.look(true), []);
  for (const slot of junk.keys()) {
    assert.deepEqual(await at.store.claim(writer(`claimant ${slot}`), wish()), { claim: { slot, epoch: 2 } });
  }
});

test("RedisStore has addresses of IPv6, and leaves out who has none", async (server) => {
  using at = storeOf(server);
  await at.open();
  const addr = { hostname: "fd00::1", port: 1250 };
  await at.store.claim({ instance: "a", addr }, wish());
  for (const [slot, wrong] of ["unix:/x", "10.0.0.1", "10.0.0.1:99999"].entries()) {
    await at.put(slot + 1, { ...owner("b", 1), addr: wrong });
  }
  assert.deepEqual(await at.store.look(true), [{ slot: 0, epoch: 2, instance: "a", addr }]);
});
