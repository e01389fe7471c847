import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { HostSlots, type Slots } from "../../lib/proxy/host_slots.ts";
import { MOST_HOSTS, SharedState } from "../../lib/proxy/shared_state.ts";
import { keyOf } from "../../lib/proxy/upstream/host_state.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { RawClient } from "../helpers/raw_client.ts";
import { settled, turn } from "../helpers/turns.ts";

/** So many names, from the `from`th on. */
const names = (from: number, count: number) => Array.from({ length: count }, (_, i) => `host_${from + i}`);
const hosts = (names: string[], more: Record<string, unknown> = {}) =>
  names.map((name) => ({ name, addr: "builtin:echo", ...more }));

/** Two proxies that share what is known of hosts, as two threads do. */
class Two implements AsyncDisposable {
  readonly #shared = new SharedState();
  readonly #hostSlots = new HostSlots(this.#shared);
  #slots: Slots = new Map();
  readonly #proxies = [0, 1].map(() =>
    TestProxy.start({ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" }, {
      shared: new SharedState(this.#shared.buffer),
      assignSlots: () => ({ slots: this.#slots, settled: () => {} }),
    })
  );

  /** Gives how many hosts are beyond what is known of together. */
  reload(hosts: unknown[]): Promise<number> {
    const keys = { ...TestProxy.LISTEN, hosts, shutdown_timeout: "10ms" };
    const { config } = parseConfig(JSON.stringify(keys), "test.yaml");
    return this.#hostSlots.spread(new Set(config.hosts.map(keyOf)), async (slots) => {
      this.#slots = slots;
      for (const { proxy } of this.#proxies) await proxy.reconfigure(config);
    });
  }

  /** Begins a session in one of them, which the caller owns; gives whether it got its host. */
  async begin(thread: 0 | 1, target: string): Promise<{ client: RawClient; got: boolean }> {
    const { proxy, address } = this.#proxies[thread]!;
    const client = await RawClient.open(address, { target });
    while ((await proxy.session(client.id))?.state === "connecting") await turn();
    return { client, got: await proxy.session(client.id) !== undefined };
  }

  async end(thread: 0 | 1, { client }: { client: RawClient }): Promise<void> {
    await this.#proxies[thread]!.proxy.endSession(client.id);
    await client.receiveToEnd();
    client[Symbol.dispose]();
  }

  /** The sessions of a host, as each of them knows. */
  async sessions(name: string): Promise<number[]> {
    const snapshots = await Promise.all(this.#proxies.map(({ proxy }) => proxy.snapshot()));
    return snapshots.map(({ upstreams }) => upstreams.find((host) => host.name === name)!.sessions);
  }

  /** Waits until a host has no session. */
  async free(name: string): Promise<void> {
    while ((await this.sessions(name)).some((count) => count !== 0)) await turn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies) await proxy[Symbol.asyncDispose]();
  }
}

/** A host of `max_sessions` 1 gets one session, whichever thread asks. */
async function assertOne(two: Two, name: string): Promise<void> {
  const first = await two.begin(0, name);
  const second = await two.begin(1, name);
  assert.deepEqual([first.got, second.got], [true, false]);
  second.client[Symbol.dispose]();
  await two.end(0, first);
  await two.free(name);
}

Deno.test("max_sessions of a new host holds over all threads, however many hosts have come and gone", async () => {
  await using two = new Two();
  for (let i = 0; i < 10; i++) assert.equal(await two.reload(hosts(names(500 * i, 500), { max_sessions: 1 })), 0);
  await assertOne(two, "host_4999");
});

Deno.test("a host that goes and comes back while a session of it lives still counts it, and else begins anew", async () => {
  await using two = new Two();
  await two.reload(hosts(["a", "b"], { max_sessions: 1 }));
  const first = await two.begin(0, "a");
  assert.equal(first.got, true);
  for (let i = 0; i < 20; i++) await two.reload(hosts(names(500 * i, 500)));
  await two.reload(hosts(["b", "a"], { max_sessions: 1 }));
  assert.deepEqual(await two.sessions("a"), [1, 1]);
  const second = await two.begin(1, "a");
  assert.equal(second.got, false);
  second.client[Symbol.dispose]();
  await two.end(0, first);
  await two.free("a");
  await assertOne(two, "a");
  await assertOne(two, "b");
});

Deno.test("what was known of a host is not told of the one that has its slot after it", () => {
  const shared = new SharedState();
  const slots = new HostSlots(shared);
  const old = slots.assign(["old"]);
  old.settled();
  const { failures, failuresInRow, down, times } = shared.host(old.slots.get("old")!);
  for (const counter of [failures, failuresInRow, down]) counter.set(1);
  times.fill(1);
  slots.assign([]).settled();
  const young = slots.assign(["young"]);
  assert.equal(young.slots.get("young"), old.slots.get("old"));
  assert.deepEqual([failures, failuresInRow, down].map(({ value }) => value), [0, 0, 0]);
  assert.deepEqual([...times], [0, 0]);
});

Deno.test("a slot has its host until its last session is over, and every thread goes by a configuration without it", async () => {
  const shared = new SharedState();
  const slots = new HostSlots(shared);
  const all = names(0, MOST_HOSTS);
  let given: Slots = new Map();
  const tell = (slots: Slots) => Promise.resolve(given = slots);
  assert.equal(await slots.spread(new Set(all), tell), 0);
  const { sessions } = shared.host(given.get("host_0")!);
  const places = new Map(given);
  sessions.add(1);

  const answers: PromiseWithResolvers<void>[] = [];
  const slowly = (slots: Slots) => (given = slots, answers.push(Promise.withResolvers()), answers.at(-1)!.promise);
  const rest = all.slice(2);
  const spread = slots.spread(new Set([...rest, "new 1", "new 2"]), slowly);
  assert.deepEqual([given.get("new 1"), given.get("new 2")], [undefined, undefined]);
  // Whatever others do meanwhile.
  assert.equal(slots.assign([...rest, "new 3"]).slots.get("new 3"), undefined);
  answers[0]!.resolve();
  while (answers.length < 2 && !await settled(spread)) { /* it is told once more */ }
  assert.equal(given.get("new 1"), places.get("host_1"));
  assert.equal(given.get("new 2"), undefined, "the other one has a session yet");
  answers[1]!.resolve();
  assert.equal(await spread, 1);

  sessions.add(-1);
  assert.equal(await slots.spread(new Set([...rest, "new 1", "new 2"]), tell), 0);
  assert.equal(given.get("new 2"), places.get("host_0"));
  for (const name of rest) assert.equal(given.get(name), places.get(name));
});

Deno.test("when not every thread has taken a configuration, the hosts of both keep their slots until all have taken one", async () => {
  const slots = new HostSlots(new SharedState());
  const all = names(0, MOST_HOSTS - 1);
  slots.assign(all).settled();
  await assert.rejects(slots.spread(new Set(["new"]), () => Promise.reject(new Error("refused"))), /refused/);
  assert.deepEqual([...slots.assign(["newer"]).slots], []);
  const again = slots.assign([...all, "new"]);
  assert.equal(new Set(again.slots.values()).size, MOST_HOSTS);
  again.settled();
  slots.assign([]).settled();
  assert.equal(slots.assign(names(MOST_HOSTS, MOST_HOSTS)).slots.size, MOST_HOSTS);
});

Deno.test("an older configuration that is taken late gives back nothing that a newer one has", () => {
  const slots = new HostSlots(new SharedState());
  const [older, newer] = [slots.assign(names(0, MOST_HOSTS)), slots.assign(names(0, MOST_HOSTS - 1))];
  newer.settled();
  older.settled();
  const { slots: next } = slots.assign(["a", "b", ...names(0, MOST_HOSTS - 1)]);
  assert.equal(next.get("a"), older.slots.get(`host_${MOST_HOSTS - 1}`));
  assert.equal(next.get("b"), undefined);
});

Deno.test("as many hosts as can be known of together give place to as many others in one reload", async () => {
  await using two = new Two();
  assert.equal(await two.reload(hosts(names(0, MOST_HOSTS))), 0);
  assert.equal(await two.reload(hosts(names(MOST_HOSTS, MOST_HOSTS), { max_sessions: 1 })), 0);
  await assertOne(two, `host_${2 * MOST_HOSTS - 1}`);
});

Deno.test("a host beyond is known of by each thread for itself, and brings its sessions when there is room for it", async () => {
  await using two = new Two();
  const late = hosts(["late"], { max_sessions: 2 });
  assert.equal(await two.reload([...hosts(names(0, MOST_HOSTS)), ...late]), 1);
  const first = await two.begin(0, "late");
  const second = await two.begin(1, "late");
  assert.deepEqual(await two.sessions("late"), [1, 1]);
  assert.equal(await two.reload([...hosts(names(1, MOST_HOSTS - 1)), ...late]), 0);
  assert.deepEqual(await two.sessions("late"), [2, 2]);
  const third = await two.begin(0, "late");
  assert.deepEqual([first.got, second.got, third.got], [true, true, false]);
  third.client[Symbol.dispose]();
  await two.end(0, first);
  await two.end(1, second);
  await two.free("late");
});
