import assert from "node:assert/strict";
import { mock } from "node:test";
import { type Check, type Host, parseAddress, parseConfig } from "../../../lib/config.ts";
import { SocketLink } from "../../../lib/link/tcp.ts";
import { HealthCheck } from "../../../lib/proxy/upstream/health_check.ts";
import { HostState } from "../../../lib/proxy/upstream/host_state.ts";
import type { UpstreamInfo } from "../../../lib/proxy/upstream/upstream.ts";
import { Backend, echo, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { TestLog, TestProxy } from "../../helpers/proxy.ts";
import { deadAddress } from "../../helpers/dead_address.ts";
import { pattern } from "../../helpers/random.ts";
import { RawClient, tcp } from "../../helpers/raw_client.ts";
import { turn } from "../../helpers/turns.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
/** Checks so rare that a test sees but the first of them. */
const RARE = { interval: "1h", timeout: "1h" };

/** A backend that echoes, at a Unix socket, which a test switches on and off: no other program can take its place. */
class Switched implements AsyncDisposable {
  readonly #dir = Deno.makeTempDirSync();
  readonly #links = new Set<SocketLink>();
  readonly #listener = Deno.listen({ transport: "unix", path: `${this.#dir}/socket` });
  readonly #served = this.#serve().catch(() => {}); // it was closed

  get address(): string {
    return `unix:${this.#dir}/switch`;
  }

  on(): this {
    Deno.symlinkSync(`${this.#dir}/socket`, `${this.#dir}/switch`);
    return this;
  }

  /** Connections that are there stay. */
  off(): this {
    Deno.removeSync(`${this.#dir}/switch`);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const link of this.#links) link.close();
    await this.#served;
    await Deno.remove(this.#dir, { recursive: true });
  }

  async #serve(): Promise<void> {
    for (;;) {
      const link = new SocketLink(await this.#listener.accept());
      this.#links.add(link);
      echo(link).catch(() => {}).finally(() => this.#links.delete(link) && link.close());
    }
  }
}

/** A host of which a test sees each check, as it is counted. */
class WatchedHost extends HostState {
  readonly seen: boolean[] = [];
  #wake = () => {};

  constructor(address: string, keys: Partial<Host> = {}) {
    const addr = parseAddress(address);
    super({ name: "h", addr, weight: 1, backup: false, drain: false, maxSessions: 0, ...keys });
  }

  override checked(ok: boolean, check: Check): boolean {
    const changed = super.checked(ok, check);
    this.seen.push(ok);
    this.#wake();
    return changed;
  }

  /** Waits until there were `count` checks. */
  async count(count: number): Promise<void> {
    while (this.seen.length < count) await new Promise<void>((resolve) => this.#wake = resolve);
  }
}

/** Runs with the times of `setInterval` in the hands of the test: `tick` lets one interval go by. */
async function withIntervals(run: (tick: () => void) => Promise<void>): Promise<void> {
  mock.timers.enable({ apis: ["setInterval"] });
  try {
    await run(() => mock.timers.tick(1000));
  } finally {
    mock.timers.reset();
  }
}

const CHECK: Check = { interval: 1000, timeout: 60_000, rise: 2, fall: 3 };

async function upstreams(proxy: TestProxy): Promise<UpstreamInfo[]> {
  return (await proxy.proxy.snapshot()).upstreams;
}

async function statuses(proxy: TestProxy): Promise<string> {
  return (await upstreams(proxy)).map(({ status }) => status).join(" ");
}

/** A session that has its backend; where that is. The session is ended again. */
async function upstreamOf(proxy: TestProxy, target = ""): Promise<unknown> {
  using client = await RawClient.open(proxy.address, { target });
  await client.send(pattern(0, 10));
  assertSameBytes(await client.receive(10), pattern(0, 10));
  const { upstream } = (await proxy.proxy.session(client.id))!;
  assert.equal(await proxy.proxy.endSession(client.id), true);
  return upstream;
}

/** Opens a session whose client is given up. */
async function givenUp(proxy: TestProxy, target = ""): Promise<void> {
  using client = await RawClient.open(proxy.address, { target });
  assert.equal((await client.receiveToEnd()).length, 0);
}

/** Goes by these keys, with the listeners of `TestProxy`. */
function reconfigure(proxy: TestProxy, keys: Record<string, unknown>): Promise<void> {
  return proxy.proxy.reconfigure(parseConfig(JSON.stringify({ ...TestProxy.LISTEN, ...keys }), "test.yaml").config);
}

Deno.test(
  "HealthCheck looks at once and each interval: down after fall in a row, up after rise, each told once",
  UNIX,
  async () => {
    await using backend = new Switched();
    const log = new TestLog();
    const state = new WatchedHost(backend.address);
    await withIntervals(async (tick) => {
      const health = new HealthCheck(CHECK, () => [state], { log });
      let checks = 0;
      const next = async () => {
        if (checks++ > 0) tick();
        await state.count(checks);
        return state.status(0);
      };
      assert.equal(await next(), "up", "one failed check, of those that are made at once");
      assert.equal(await next(), "up");
      backend.on();
      assert.equal(await next(), "up");
      backend.off();
      assert.deepEqual([await next(), await next(), await next(), await next()], ["up", "up", "down", "down"]);
      backend.on();
      assert.equal(await next(), "down");
      backend.off();
      assert.equal(await next(), "down");
      backend.on();
      assert.deepEqual([await next(), await next(), await next()], ["down", "up", "up"]);
      health.stop();
      tick();
    });
    await turn();
    assert.equal(
      state.seen.map(Number).join(""),
      "001000010111",
      "it looked oftener than once an interval, or after stop()",
    );
    assert.deepEqual(log.events.map(({ event, upstream, name }) => [event, upstream, name]), [
      ["upstream down", backend.address, "h"],
      ["upstream up", backend.address, "h"],
    ]);
    assert.match(String(log.events[0]!.reason), /No such file/);
  },
);

Deno.test("HealthCheck looks at every host beside the others, at none that is builtin, and at those there are at the time", async () => {
  await using backend = new Backend().serve(echo);
  const log = new TestLog();
  const [good, bad, later] = [backend.address, deadAddress(), backend.address].map((addr) => new WatchedHost(addr));
  const builtin = new WatchedHost("builtin:echo");
  let hosts = [good!, bad!, builtin];
  await withIntervals(async (tick) => {
    const health = new HealthCheck({ ...CHECK, fall: 1 }, () => hosts, { log });
    await Promise.all([good!.count(1), bad!.count(1)]);
    hosts = [later!, builtin];
    tick();
    await later!.count(1);
    health.stop();
  });
  assert.deepEqual([good, bad, builtin, later].map((state) => state!.seen), [[true], [false], [], [true]]);
  assert.deepEqual([good, bad, builtin, later].map((state) => state!.status(0)), ["up", "down", "up", "up"]);
});

Deno.test(
  "HealthCheck takes no answer within the timeout for a failure",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    // With its backlog full, Linux answers no more.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const address = `127.0.0.1:${listener.addr.port}`;
    const waiting = [await tcp(address), await tcp(address)];
    const log = new TestLog();
    const health = new HealthCheck(
      { interval: 3_600_000, timeout: 20, rise: 1, fall: 1 },
      () => [new WatchedHost(address)],
      { log },
    );
    assert.match(String((await log.nth("upstream down")).reason), /no answer within 20 ms/);
    health.stop();
    for (const link of waiting) link.close();
    listener.close();
  },
);

Deno.test("HealthCheck stop() gives up the check under way, which then says nothing", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const address = `127.0.0.1:${listener.addr.port}`;
  const waiting = [await tcp(address), await tcp(address)];
  const log = new TestLog();
  const [silent, dead] = [new WatchedHost(address), new WatchedHost(deadAddress())];
  const check = { interval: 3_600_000, timeout: 3_600_000, rise: 1, fall: 1 };
  // That these end at all is what the test's sanitizer of resources and timers says.
  new HealthCheck(check, () => [silent, dead], { log }).stop();
  for (let i = 0; i < 20; i++) await turn();
  assert.deepEqual([silent.seen, dead.seen, log.events], [[], [], []]);
  for (const link of waiting) link.close();
  listener.close();
});

Deno.test("upstream_option.check: a check connects and closes, and is no session: nothing is announced", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    upstream_option: { check: RARE, announce: "proxy_v1" },
  });
  const probe = await backend.accept();
  assert.equal((await readToEnd(probe)).length, 0);
  probe.close();
  assert.equal(await proxy.size(), 0);
  assert.deepEqual(await upstreams(proxy), [{
    name: "",
    address: backend.address,
    status: "up",
    backup: false,
    weight: 100,
    sessions: 0,
    failures: 0,
  }]);
});

Deno.test(
  "upstream_option.check: a host that is down gets no new session, keeps those it has, and comes back",
  UNIX,
  async () => {
    await using first = new Switched().on();
    await using second = new Switched().on();
    await using proxy = TestProxy.start({
      hosts: [{ addr: first.address }, { addr: second.address }],
      upstream_option: { check: { interval: "1ms", timeout: "1h", rise: 2, fall: 2 } },
      shutdown_timeout: "10ms",
    }, { random: () => 0 });
    using client = await RawClient.open(proxy.address);
    await client.send(pattern(0, 100));
    assertSameBytes(await client.receive(100), pattern(0, 100));
    first.off();
    assert.equal((await proxy.log.nth("upstream down")).upstream, first.address);
    assert.equal(await statuses(proxy), "down up");
    assert.equal(await upstreamOf(proxy), second.address);
    assert.equal(proxy.log.of("upstream failed").length, 0, "a host that is down was dialled for a session");
    await client.resume();
    await client.send(pattern(100, 100));
    assertSameBytes(await client.receive(100), pattern(100, 100));
    assert.deepEqual((await upstreams(proxy)).map(({ sessions, failures }) => [sessions, failures])[0], [1, 0]);
    first.on();
    assert.equal((await proxy.log.nth("upstream up")).upstream, first.address);
    assert.equal(await upstreamOf(proxy), first.address);
  },
);

Deno.test("upstream_option.check: a group whose every host is down is tried anyway", UNIX, async () => {
  await using backend = new Switched();
  await using proxy = TestProxy.start({
    hosts: [{ name: "one", addr: backend.address }, { name: "two", addr: "builtin:echo" }],
    upstream_option: { check: { ...RARE, fall: 1 } },
    shutdown_timeout: "10ms",
  });
  await proxy.log.nth("upstream down");
  backend.on();
  assert.equal(await upstreamOf(proxy, "one"), backend.address);
  assert.equal(await statuses(proxy), "down up", "what checks found is for checks to change");
});

Deno.test("upstream_option.check: of a group whose every host is down each is tried once, backups too", async () => {
  await using proxy = TestProxy.start({
    hosts: [{ addr: deadAddress() }, { addr: deadAddress(), backup: true }],
    upstream_option: { check: { ...RARE, fall: 1 } },
  });
  await proxy.log.nth("upstream down", 2);
  await givenUp(proxy);
  assert.deepEqual((await upstreams(proxy)).map(({ failures }) => failures), [1, 1]);
});

Deno.test(
  "upstream_option.check: what was found stays over a reconfigure, and is forgotten when there are no checks",
  UNIX,
  async () => {
    await using backend = new Switched();
    const hosts = [{ addr: backend.address }, { addr: "builtin:echo" }];
    const check = { ...RARE, fall: 1 };
    await using proxy = TestProxy.start({ hosts, upstream_option: { check }, shutdown_timeout: "10ms" }, {
      random: () => 0,
    });
    await proxy.log.nth("upstream down");
    backend.on();
    await reconfigure(proxy, { hosts, upstream_option: { check: { ...RARE, rise: 2 } }, shutdown_timeout: "10ms" });
    assert.equal(await statuses(proxy), "down up");
    assert.equal(await upstreamOf(proxy), "builtin:echo");
    await reconfigure(proxy, { hosts, shutdown_timeout: "10ms" });
    assert.equal(await statuses(proxy), "up up");
    assert.equal(await upstreamOf(proxy), backend.address);
    // And they can begin again.
    backend.off();
    await reconfigure(proxy, { hosts, upstream_option: { check: { ...RARE, fall: 1 } }, shutdown_timeout: "10ms" });
    await proxy.log.nth("upstream down", 2);
    assert.equal(await statuses(proxy), "down up");
  },
);

Deno.test(
  "a host that could not be reached 5 times in a row is not tried for 10 s, then 20 s, and a success forgets it",
  UNIX,
  async () => {
    await using bad = new Switched();
    await using good = new Backend().serve(echo);
    let now = 0;
    await using proxy = TestProxy.start({
      hosts: [{ addr: bad.address }, { addr: good.address }],
      shutdown_timeout: "10ms",
    }, { random: () => 0, now: () => now });
    /** Opens so many sessions; how many times the bad host has been tried in all. */
    const sessions = async (count: number) => {
      for (let i = 0; i < count; i++) assert.equal(await upstreamOf(proxy), good.address);
      return (await upstreams(proxy))[0]!.failures;
    };
    assert.equal(await sessions(4), 4);
    assert.equal(await statuses(proxy), "up up");
    assert.equal(await sessions(1), 5);
    assert.equal(await statuses(proxy), "out up");
    assert.equal((await proxy.log.nth("upstream out")).for_ms, 10_000);
    now = 9_999;
    assert.equal(await sessions(3), 5);
    now = 10_000;
    assert.equal(await statuses(proxy), "up up");
    assert.equal(await sessions(5), 10);
    assert.equal((await proxy.log.nth("upstream out", 2)).for_ms, 20_000);
    assert.equal((await proxy.log.nth("upstream out", 2)).upstream, bad.address);
    now = 29_999;
    assert.equal(await sessions(3), 10);
    now = 30_000;
    assert.equal(await sessions(4), 14);
    bad.on();
    assert.equal(await upstreamOf(proxy), bad.address);
    bad.off();
    assert.equal(await sessions(4), 18);
    assert.equal(await statuses(proxy), "up up", "failures before and after a success are not in a row");
    assert.equal(await sessions(1), 19);
    assert.equal((await proxy.log.nth("upstream out", 3)).for_ms, 10_000);
  },
);

Deno.test("never more than half of a group is out, however often the others fail; its place is taken when it is free", async () => {
  await using good = new Backend().serve(echo);
  const dead = [deadAddress(), deadAddress()];
  let now = 0;
  await using proxy = TestProxy.start({
    hosts: [...dead, good.address].map((addr) => ({ name: "g", addr })),
    shutdown_timeout: "10ms",
  }, { random: () => 0, now: () => now });
  for (let i = 0; i < 12; i++) assert.equal(await upstreamOf(proxy, "g"), good.address);
  assert.equal(await statuses(proxy), "out up up");
  assert.deepEqual((await upstreams(proxy)).map(({ failures }) => failures), [5, 12, 0]);
  now = 10_000;
  assert.equal(await statuses(proxy), "up up up");
  await upstreamOf(proxy, "g");
  assert.equal(await statuses(proxy), "up out up", "the one that is due goes out at its next failure");
  assert.equal(proxy.log.of("upstream out").length, 2);
});

Deno.test("a lone host never goes out: each client tries it, and the first that can be served is", UNIX, async () => {
  await using backend = new Switched();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" }, {
    now: () => 0,
  });
  for (let i = 0; i < 7; i++) await givenUp(proxy);
  assert.equal(await statuses(proxy), "up");
  assert.equal((await upstreams(proxy))[0]!.failures, 7);
  assert.equal((await proxy.stats()).upstreamFails, 7);
  backend.on();
  assert.equal(await upstreamOf(proxy), backend.address);
});

Deno.test(
  "a group whose every host is out is tried anyway, and a success brings a host back at once",
  UNIX,
  async () => {
    await using backend = new Switched();
    const hosts = [{ addr: backend.address }, { addr: "builtin:echo" }];
    await using proxy = TestProxy.start({ hosts, shutdown_timeout: "10ms" }, { random: () => 0, now: () => 0 });
    for (let i = 0; i < 5; i++) assert.equal(await upstreamOf(proxy), "builtin:echo");
    assert.equal(await statuses(proxy), "out up");
    await reconfigure(proxy, { hosts: hosts.slice(0, 1), shutdown_timeout: "10ms" });
    assert.equal(await statuses(proxy), "out", "a host that stays keeps what is known of it");
    await givenUp(proxy);
    assert.equal((await upstreams(proxy))[0]!.failures, 6);
    backend.on();
    assert.equal(await upstreamOf(proxy), backend.address);
    assert.equal(await statuses(proxy), "up");
  },
);

Deno.test("dialling that is given up, because the session has ended, counts as no failure of the host", async () => {
  const asked = Promise.withResolvers<void>();
  await using proxy = TestProxy.start({
    hosts: [{ addr: "slow.test:1" }, { addr: "builtin:echo" }],
    upstream_option: { connect_timeout: "1h" },
    shutdown_timeout: "10ms",
  }, { random: () => 0, lookup: () => (asked.resolve(), new Promise(() => {})) });
  using client = await RawClient.open(proxy.address);
  await asked.promise;
  assert.equal((await upstreams(proxy))[0]!.sessions, 1, "one that is being dialled counts");
  assert.equal(await proxy.proxy.endSession(client.id), true);
  await client.receiveToEnd();
  while ((await upstreams(proxy))[0]!.sessions > 0) await turn();
  assert.deepEqual((await upstreams(proxy)).map(({ sessions, failures }) => [sessions, failures]), [[0, 0], [0, 0]]);
  assert.equal(proxy.log.of("upstream failed").length, 0);
  assert.equal((await proxy.stats()).upstreamFails, 0);
});

Deno.test("a backend that fails in the middle of a session is no failure to connect", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }, { addr: "builtin:echo" }],
    scp: { reuse_time: 0 },
    shutdown_timeout: "10ms",
  }, { random: () => 0 });
  for (let i = 0; i < 6; i++) {
    using client = await RawClient.open(proxy.address);
    (await backend.accept()).close();
    await client.receiveToEnd();
  }
  assert.equal(await statuses(proxy), "up up");
  assert.deepEqual((await upstreams(proxy)).map(({ failures }) => failures), [0, 0]);
});
