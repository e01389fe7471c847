import assert from "node:assert/strict";
import { mock } from "node:test";
import { parseConfig } from "../../../lib/config.ts";
import { readRecord, writeAll } from "../../../lib/link/link.ts";
import { Backend, echo, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { deadAddress } from "../../helpers/dead_address.ts";
import { pattern } from "../../helpers/random.ts";
import { ask, RawClient, record, tcp } from "../../helpers/raw_client.ts";
import { turn } from "../../helpers/turns.ts";

const HELLO = "0\n782riWdFIwE=\n\n0";

/** Three backends that echo. */
class Backends implements AsyncDisposable {
  readonly #all = [0, 1, 2].map(() => new Backend().serve(echo));

  get addresses(): [string, string, string] {
    return this.#all.map(({ address }) => address) as [string, string, string];
  }

  /** `a`, `b` or `c`. */
  letterOf(address: unknown): string {
    return "abc"[this.addresses.indexOf(String(address))] ?? `none of them: ${address}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const backend of this.#all) await backend[Symbol.asyncDispose]();
  }
}

/** A session that has its backend; the caller owns it. */
async function begin(proxy: TestProxy, target = ""): Promise<RawClient> {
  const client = await RawClient.open(proxy.address, { target });
  while ((await proxy.proxy.session(client.id))?.state === "connecting") await turn();
  return client;
}

/** Where a new session goes, which is ended again; `undefined`: it is given up. */
async function upstreamOf(proxy: TestProxy, target = ""): Promise<string | undefined> {
  using client = await begin(proxy, target);
  const session = await proxy.proxy.session(client.id);
  await proxy.proxy.endSession(client.id);
  await client.receiveToEnd();
  return session?.upstream;
}

/** Sessions of each host. */
async function counts(proxy: TestProxy): Promise<number[]> {
  return (await proxy.proxy.snapshot()).upstreams.map(({ sessions }) => sessions);
}

/** Waits until no host has a session. */
async function allFree(proxy: TestProxy): Promise<void> {
  while ((await counts(proxy)).some((count) => count !== 0)) {
    assert((await counts(proxy)).every((count) => count >= 0), "a session was counted off twice");
    await turn();
  }
}

/** Goes by these keys, with the listeners of `TestProxy`. */
function reconfigure(proxy: TestProxy, keys: Record<string, unknown>): Promise<void> {
  return proxy.proxy.reconfigure(parseConfig(JSON.stringify({ ...TestProxy.LISTEN, ...keys }), "test.yaml").config);
}

Deno.test("balance round_robin: sessions go to the hosts of a name in turn and by weight, each name for itself", async () => {
  await using backends = new Backends();
  const [a, b, c] = backends.addresses;
  await using proxy = TestProxy.start({
    hosts: [
      { name: "one", addr: a, weight: 2 },
      { name: "one", addr: b, weight: 1 },
      { name: "two", addr: b, weight: 1 },
      { name: "two", addr: c, weight: 1 },
    ],
    upstream_option: { balance: "round_robin" },
    shutdown_timeout: "10ms",
  });
  const [ones, twos] = ["", ""].map(() => [] as string[]);
  for (let i = 0; i < 6; i++) {
    ones!.push(backends.letterOf(await upstreamOf(proxy, "one")));
    twos!.push(backends.letterOf(await upstreamOf(proxy, "two")));
  }
  assert.equal(ones!.join(""), "abaaba");
  assert.equal(twos!.join(""), "bcbcbc");
});

Deno.test("balance round_robin: the turn of a host that cannot be reached goes to the next", async () => {
  await using backends = new Backends();
  const [a, b] = backends.addresses;
  await using proxy = TestProxy.start({
    hosts: [{ addr: a }, { addr: deadAddress() }, { addr: b }],
    upstream_option: { balance: "round_robin" },
    shutdown_timeout: "10ms",
  });
  const seen = [];
  for (let i = 0; i < 6; i++) seen.push(backends.letterOf(await upstreamOf(proxy)));
  assert.equal(seen.length, 6);
  assert.deepEqual([...new Set(seen)].toSorted(), ["a", "b"]);
  assert.equal((await proxy.proxy.snapshot()).upstreams[1]!.failures, 2);
});

Deno.test("balance least_conn: a session goes where the fewest are for the weight, and an end makes room", async () => {
  await using backends = new Backends();
  const [a, b, c] = backends.addresses;
  await using proxy = TestProxy.start({
    hosts: [{ addr: a, weight: 1 }, { addr: b, weight: 2 }, { addr: c, weight: 1 }],
    upstream_option: { balance: "least_conn" },
    shutdown_timeout: "10ms",
  });
  const clients: RawClient[] = [];
  for (let i = 0; i < 8; i++) clients.push(await begin(proxy));
  assert.deepEqual(await counts(proxy), [2, 4, 2]);
  const sessions = (await proxy.proxy.sessions({ limit: 100, filter: c })).sessions;
  for (const { id } of sessions) await proxy.proxy.endSession(id);
  while ((await counts(proxy))[2] !== 0) await turn();
  for (let i = 0; i < 2; i++) {
    clients.push(await begin(proxy));
    assert.deepEqual(await counts(proxy), [2, 4, i + 1]);
  }
  for (const client of clients) client[Symbol.dispose]();
});

Deno.test("balance least_conn: sessions that are still being dialled count, so that several at once spread", async () => {
  const lookups: PromiseWithResolvers<string[]>[] = [];
  await using proxy = TestProxy.start({
    hosts: ["a.test:1", "b.test:1", "c.test:1"].map((addr) => ({ addr })),
    upstream_option: { balance: "least_conn", connect_timeout: "1h" },
    shutdown_timeout: "10ms",
  }, {
    lookup: () => (lookups.push(Promise.withResolvers()), lookups.at(-1)!.promise),
  });
  const clients = await Promise.all(Array.from({ length: 6 }, () => RawClient.open(proxy.address)));
  while ((await counts(proxy)).reduce((sum, count) => sum + count) < 6) await turn();
  assert.deepEqual(await counts(proxy), [2, 2, 2]);
  for (const client of clients) {
    await proxy.proxy.endSession(client.id);
    client[Symbol.dispose]();
  }
  await allFree(proxy);
});

Deno.test("balance source: a client always gets the same host, and keeps it when another one leaves", async () => {
  await using backends = new Backends();
  const listen = [{ tcp: "127.0.0.1:0", accept_proxy: true, trusted: ["127.0.0.1"] }];
  const hosts = backends.addresses.map((addr) => ({ addr }));
  const keys = { listen, upstream_option: { balance: "source" }, shutdown_timeout: "10ms" };
  await using proxy = TestProxy.start({ ...keys, hosts });
  /** Where the client goes; another port of it each time. */
  let port = 1000;
  const hostOf = async (client: number) => {
    const link = await tcp(proxy.address);
    const header = `PROXY TCP4 192.0.2.${client} 203.0.113.1 ${port++} 443\r\n`;
    await writeAll(link, Uint8Array.from([...new TextEncoder().encode(header), ...record(HELLO)]));
    const id = Number((await readRecord(link))!.content.split("\n")[0]);
    while ((await proxy.proxy.session(id))!.state === "connecting") await turn();
    const { upstream } = (await proxy.proxy.session(id))!;
    await proxy.proxy.endSession(id);
    link.close();
    return backends.letterOf(upstream);
  };
  const clients = Array.from({ length: 24 }, (_, i) => i + 1);
  const all = async () => {
    const found = [];
    for (const client of clients) found.push(await hostOf(client));
    return found;
  };
  const before = await all();
  assert.deepEqual([...new Set(before)].toSorted(), ["a", "b", "c"], "every host gets some of 24 clients");
  assert.deepEqual(await all(), before);
  await reconfigure(proxy, { ...keys, hosts: hosts.map((host, i) => ({ ...host, drain: i === 1 })) });
  const drained = await all();
  assert.equal(drained.includes("b"), false);
  assert.deepEqual(drained.filter((_, i) => before[i] !== "b"), before.filter((letter) => letter !== "b"));
  await reconfigure(proxy, { ...keys, hosts: hosts.toReversed() });
  assert.deepEqual(await all(), before, "the order of the hosts matters");
});

Deno.test("balance random: hosts of weight 0, or none, count as 100, and the choice goes by weight", async () => {
  await using backends = new Backends();
  const [a, b] = backends.addresses;
  let point = 0;
  await using proxy = TestProxy.start({
    hosts: [{ addr: a, weight: 300 }, { addr: b }],
    shutdown_timeout: "10ms",
  }, { random: () => point });
  for (const [at, letter] of [[0, "a"], [0.749, "a"], [0.751, "b"], [0.999, "b"]] as const) {
    point = at;
    assert.equal(backends.letterOf(await upstreamOf(proxy)), letter);
  }
  assert.deepEqual((await proxy.proxy.snapshot()).upstreams.map(({ weight }) => weight), [300, 100]);
});

Deno.test("backup: it is taken when no other of its name can be reached, is up or has room, and only then", async () => {
  await using backends = new Backends();
  const [a, b] = backends.addresses;
  const dead = deadAddress();
  const start = (first: Record<string, unknown>) =>
    TestProxy.start({
      // The backup stands first, and is heavy: neither is to matter.
      hosts: [{ name: "g", addr: b, backup: true, weight: 1000 }, { name: "g", weight: 1, ...first }],
      shutdown_timeout: "10ms",
    }, { random: () => 0, now: () => 0 });
  {
    await using proxy = start({ addr: a });
    for (let i = 0; i < 3; i++) assert.equal(await upstreamOf(proxy, "g"), a);
    assert.deepEqual((await proxy.proxy.snapshot()).upstreams.map(({ backup }) => backup), [true, false]);
  }
  {
    await using proxy = start({ addr: dead });
    for (let i = 0; i < 8; i++) assert.equal(await upstreamOf(proxy, "g"), b);
    const { status, failures } = (await proxy.proxy.snapshot()).upstreams[1]!;
    assert.deepEqual([status, failures], ["out", 5], "an up backup goes before one that is out");
  }
  {
    await using proxy = start({ addr: a, drain: true });
    assert.equal(await upstreamOf(proxy, "g"), b);
  }
  {
    await using proxy = start({ addr: a, max_sessions: 1 });
    using client = await begin(proxy, "g");
    assert.equal(await upstreamOf(proxy, "g"), b);
    await proxy.proxy.endSession(client.id);
    await allFree(proxy);
    assert.equal(await upstreamOf(proxy, "g"), a);
  }
});

Deno.test("backup: a name that has but backups gets them, in the way that balance says", async () => {
  await using backends = new Backends();
  const [a, b] = backends.addresses;
  await using proxy = TestProxy.start({
    hosts: [a, b].map((addr) => ({ name: "g", addr, backup: true })),
    upstream_option: { balance: "round_robin" },
    shutdown_timeout: "10ms",
  });
  const seen = [];
  for (let i = 0; i < 4; i++) seen.push(backends.letterOf(await upstreamOf(proxy, "g")));
  assert.equal(seen.join(""), "abab");
});

Deno.test("drain: a host gets no new session and keeps those it has, whose clients still resume", async () => {
  await using backends = new Backends();
  const [a, b] = backends.addresses;
  const hosts = [{ addr: a }, { addr: b }];
  await using proxy = TestProxy.start({ hosts, shutdown_timeout: "10ms" }, { random: () => 0 });
  using client = await begin(proxy);
  await client.send(pattern(0, 100));
  await reconfigure(proxy, { hosts: [{ addr: a, drain: true }, { addr: b }], shutdown_timeout: "10ms" });
  assert.equal(await upstreamOf(proxy), b);
  assert.equal(await upstreamOf(proxy, "whatever"), b);
  await client.resume();
  assertSameBytes(await client.receive(100), pattern(0, 100));
  const [info] = (await proxy.proxy.snapshot()).upstreams;
  assert.deepEqual([info!.status, info!.sessions], ["drain", 1]);
  await reconfigure(proxy, { hosts, shutdown_timeout: "10ms" });
  assert.equal(await upstreamOf(proxy), a);
});

Deno.test("drain: a client for whom there are only such hosts is given up", async () => {
  await using backends = new Backends();
  const [a, b] = backends.addresses;
  await using proxy = TestProxy.start({
    hosts: [{ name: "one", addr: a, drain: true }, { name: "two", addr: b }],
    shutdown_timeout: "10ms",
  });
  assert.equal(await upstreamOf(proxy, "one"), undefined);
  assert.equal((await proxy.log.nth("session ended")).reason, "no upstream could be reached");
  assert.equal((await proxy.stats()).upstreamFails, 1);
  assert.equal(await upstreamOf(proxy, "two"), b);
});

Deno.test("max_sessions: a full host gets no more, a client for whom all are full is given up, and an end makes room", async () => {
  await using backends = new Backends();
  const [a, b] = backends.addresses;
  const hosts = [{ addr: a, max_sessions: 1 }, { addr: b, max_sessions: 2 }];
  await using proxy = TestProxy.start({ hosts, shutdown_timeout: "10ms" }, { random: () => 0 });
  using first = await begin(proxy);
  using _second = await begin(proxy);
  using _third = await begin(proxy);
  assert.deepEqual(await counts(proxy), [1, 2]);
  assert.equal(await upstreamOf(proxy), undefined);
  assert.deepEqual(await counts(proxy), [1, 2]);
  // One that is away still has its place.
  first.link.close();
  await proxy.log.nth("session lost");
  assert.equal(await upstreamOf(proxy), undefined);
  await first.resume();
  await proxy.proxy.endSession(first.id);
  while ((await counts(proxy))[0] !== 0) await turn();
  assert.equal(await upstreamOf(proxy), a);
  // Fewer than there are: they stay.
  await reconfigure(proxy, { hosts: [hosts[0], { addr: b, max_sessions: 1 }], shutdown_timeout: "10ms" });
  assert.equal((await counts(proxy))[1], 2);
  while ((await counts(proxy))[0] !== 0) await turn();
  using _fourth = await begin(proxy);
  assert.equal(await upstreamOf(proxy), undefined);
});

Deno.test("a host's sessions are counted off when the backend closes and the client has had the end", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], scp: { reuse_time: "1ms" } });
  using client = await begin(proxy);
  assert.deepEqual(await counts(proxy), [1]);
  (await backend.accept()).close();
  await client.receiveToEnd();
  client.link.close();
  await allFree(proxy);
  assert.equal((await proxy.stats()).sessionsEnded.upstream_closed, 1);
});

Deno.test("a host's sessions are counted off when the client is lost for good and the backend closes", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], scp: { reuse_time: "1ms" } });
  using client = await begin(proxy);
  const far = await backend.accept();
  await client.send(pattern(0, 10));
  client.link.close();
  assertSameBytes(await readToEnd(far), pattern(0, 10));
  assert.equal((await proxy.log.nth("session ended")).reason, "reuse_time is over");
  assert.deepEqual(await counts(proxy), [1], "the backend still has its connection");
  far.close();
  await allFree(proxy);
});

Deno.test("a host's sessions are counted off when the client is lost for good and the backend never closes", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], scp: { reuse_time: "1h" } });
  using client = await begin(proxy);
  const far = await backend.accept();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    client.link.close();
    await proxy.log.nth("session lost");
    mock.timers.tick(3_600_000);
    assert.equal((await proxy.log.nth("session ended")).reason, "reuse_time is over");
    assert.equal((await readToEnd(far)).length, 0);
    mock.timers.tick(4_999);
    for (let i = 0; i < 10; i++) await turn();
    assert.deepEqual(await counts(proxy), [1]);
    mock.timers.tick(1);
    await allFree(proxy);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("a host's sessions are counted off at once when the manager ends them, whatever the backend does", async () => {
  // It neither reads nor closes.
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }] });
  using idle = await begin(proxy);
  using away = await begin(proxy);
  using blocked = await begin(proxy);
  for (let i = 0; i < 3; i++) await backend.accept();
  // More than all buffers between here and the backend take.
  const sent = blocked.send(pattern(0, 16 * 2 ** 20)).catch(() => {});
  const receivedOf = async () => (await proxy.proxy.session(blocked.id))!.received;
  for (let before = -1; before !== await receivedOf();) {
    before = await receivedOf();
    for (let i = 0; i < 500; i++) await turn();
  }
  // The time that a backend is left to close by itself, of a session that ended otherwise, is never over here.
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    away.link.close();
    await proxy.log.nth("session lost");
    assert.deepEqual(await counts(proxy), [3]);
    for (const { id } of [idle, away, blocked]) assert.equal(await proxy.proxy.endSession(id), true);
    await allFree(proxy);
  } finally {
    mock.timers.reset();
  }
  await sent;
});

Deno.test("a host's sessions are counted off when no host can be reached, and when the client resumes in vain", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ name: "bad", addr: deadAddress() }, { name: "good", addr: backend.address }],
    scp: { reuse_buffer: 1024 },
  });
  assert.equal(await upstreamOf(proxy, "bad"), undefined);
  await allFree(proxy);
  using client = await begin(proxy, "good");
  const far = await backend.accept();
  await writeAll(far, pattern(0, 5000));
  // It says that it lacks all of it, which is more than is held: 406.
  while ((await proxy.proxy.session(client.id))!.sent < 5000) await turn();
  const { link, answer } = await ask(proxy.address, client.resumeContent());
  link.close();
  assert.equal(answer, "0\n406");
  far.close();
  await allFree(proxy);
  assert.equal((await proxy.stats()).sessionsEnded.not_resumable, 1);
});

Deno.test("a host's sessions are counted off when the proxy stops", async () => {
  await using backend = new Backend();
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using _client = await begin(proxy);
  await backend.accept();
  await proxy.stop();
  assert.deepEqual(await counts(proxy), [0]);
});

Deno.test("a host that was removed while it was dialled gets its session, and is not counted off the one that has its place", async () => {
  await using backend = new Backend();
  const asked = Promise.withResolvers<void>();
  const found = Promise.withResolvers<string[]>();
  const hosts = [{ addr: `slow.test:${backend.port}` }, { addr: "builtin:echo" }];
  await using proxy = TestProxy.start({ hosts, shutdown_timeout: "10ms" }, {
    random: () => 0,
    lookup: () => (asked.resolve(), found.promise),
  });
  using client = await RawClient.open(proxy.address);
  await asked.promise;
  await reconfigure(proxy, { hosts: hosts.slice(1), shutdown_timeout: "10ms" });
  found.resolve(["127.0.0.1"]);
  assert.equal((await proxy.log.nth("session new")).upstream, hosts[0]!.addr);
  assert.deepEqual(await counts(proxy), [0]);
  await reconfigure(proxy, { hosts, shutdown_timeout: "10ms" });
  const far = await backend.accept();
  await proxy.proxy.endSession(client.id);
  assert.equal((await readToEnd(far)).length, 0);
  for (let i = 0; i < 10; i++) await turn();
  assert.deepEqual(await counts(proxy), [0, 0], "it was counted off a host that did not count it");
});

Deno.test("a client whose host fails after a reload goes on with the hosts there are by then, and none that is gone", async () => {
  await using gone = new Backend().serve(echo);
  await using young = new Backend().serve(echo);
  const asked = Promise.withResolvers<void>();
  const found = Promise.withResolvers<string[]>();
  await using proxy = TestProxy.start({
    hosts: [{ name: "game", addr: "slow.test:1" }, { name: "game", addr: gone.address }],
    shutdown_timeout: "10ms",
  }, { random: () => 0, lookup: () => (asked.resolve(), found.promise) });
  using _client = await RawClient.open(proxy.address, { target: "game" });
  await asked.promise;
  await reconfigure(proxy, { hosts: [{ name: "game", addr: young.address }], shutdown_timeout: "10ms" });
  found.reject(new Error("unknown"));
  assert.equal((await proxy.log.nth("session new")).upstream, young.address);
  assert.equal(proxy.log.of("upstream failed").length, 1);
});

Deno.test("a client whose target's addresses fail after a reload goes on with the hosts there are by then", async () => {
  await using young = new Backend().serve(echo);
  const [hostname, port] = deadAddress().split(":");
  const resolv = { upstream_option: { resolv: { port: Number(port) } }, shutdown_timeout: "10ms" };
  const asked = Promise.withResolvers<void>();
  const found = Promise.withResolvers<string[]>();
  await using proxy = TestProxy.start({ hosts: [{ addr: "builtin:echo" }], ...resolv }, {
    lookup: () => (asked.resolve(), found.promise),
  });
  using _client = await RawClient.open(proxy.address, { target: "game" });
  await asked.promise;
  await reconfigure(proxy, { hosts: [{ name: "game", addr: young.address }], ...resolv });
  found.resolve([hostname!]);
  assert.equal((await proxy.log.nth("session new")).upstream, young.address);
  assert.equal(proxy.log.of("upstream failed").length, 1);
});

Deno.test("max_sessions holds also for a host that is turned to after another has failed", async () => {
  await using backend = new Backend();
  const asked = Promise.withResolvers<void>();
  const found = Promise.withResolvers<string[]>();
  const points = [0, 0.9];
  await using proxy = TestProxy.start({
    hosts: [{ addr: "slow.test:1" }, { addr: backend.address, max_sessions: 1 }],
    shutdown_timeout: "10ms",
  }, { random: () => points.shift() ?? 0.9, lookup: () => (asked.resolve(), found.promise) });
  using first = await RawClient.open(proxy.address);
  await asked.promise;
  using _second = await RawClient.open(proxy.address);
  await proxy.log.nth("session new");
  found.reject(new Error("unknown"));
  assert.equal((await first.receiveToEnd()).length, 0);
  assert.equal((await counts(proxy))[1], 1);
});

Deno.test("upstream_option.resolv: a look-up that is given up, because the session has ended, is waited for no more", async () => {
  const asked = Promise.withResolvers<void>();
  const proxy = TestProxy.start({
    hosts: [{ addr: "builtin:echo" }],
    upstream_option: { connect_timeout: "1h", resolv: { port: 1 } },
    shutdown_timeout: "1h",
  }, { lookup: () => (asked.resolve(), new Promise(() => {})) });
  using client = await RawClient.open(proxy.address, { target: "game" });
  await asked.promise;
  await proxy.proxy.endSession(client.id);
  await proxy.stop();
  assert.deepEqual(proxy.log.of("upstream name unknown"), []);
});
