import assert from "node:assert/strict";
import { Connection } from "../../../lib/client/connection.ts";
import { parseAddress } from "../../../lib/config.ts";
import { LAST_FOR } from "../../../lib/link/addresses.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { SocketLink } from "../../../lib/link/tcp.ts";
import { HealthCheck } from "../../../lib/proxy/upstream/health_check.ts";
import { HostState } from "../../../lib/proxy/upstream/host_state.ts";
import { Backend, echo, readExactly } from "../../helpers/backend.ts";
import { CuttingLink } from "../../helpers/cutting_link.ts";
import { TestLog, TestProxy } from "../../helpers/proxy.ts";
import { deadAddress } from "../../helpers/dead_address.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { RawClient, tcp } from "../../helpers/raw_client.ts";
import { silentAt } from "../../helpers/silent.ts";
import { turn } from "../../helpers/turns.ts";

/** A backend that says who it is, and then echoes. */
function named(name: string, at?: { hostname: "127.0.0.2"; port: number }): Backend {
  return new Backend(at?.hostname, at?.port).serve(async (link) => {
    await writeAll(link, new TextEncoder().encode(name));
    await echo(link);
  });
}

/** Who answers a client that asks for this target: the first byte of its name. */
async function whoAnswers(proxy: TestProxy, target: string): Promise<string> {
  using client = await RawClient.open(proxy.address, { target });
  return new TextDecoder().decode(await client.receive(1));
}

Deno.test("a target goes to the hosts of that name; an unknown or empty one to any", async () => {
  await using a = named("a");
  await using b = named("b");
  await using proxy = TestProxy.start({
    hosts: [{ name: "one", addr: a.address }, { name: "two", addr: b.address }],
    shutdown_timeout: "10ms",
  }, { random: () => 0.9 });
  assert.equal(await whoAnswers(proxy, "one"), "a");
  assert.equal(await whoAnswers(proxy, "two"), "b");
  assert.equal(await whoAnswers(proxy, "three"), "b");
  assert.equal(await whoAnswers(proxy, ""), "b");
});

Deno.test("a host that cannot be reached is logged, and another of the group is tried", async () => {
  await using good = named("g");
  const dead = deadAddress();
  await using proxy = TestProxy.start({
    hosts: [{ name: "one", addr: dead }, { name: "one", addr: good.address }],
    shutdown_timeout: "10ms",
  }, { random: () => 0 });
  assert.equal(await whoAnswers(proxy, "one"), "g");
  const { upstream, reason } = await proxy.log.nth("upstream failed");
  assert.equal(upstream, dead);
  assert.match(String(reason), /refused/);
});

Deno.test("a client whose backends all fail is given up: the connection and the session end", async () => {
  await using proxy = TestProxy.start({ hosts: [{ addr: deadAddress() }, { addr: deadAddress() }] });
  using client = await RawClient.open(proxy.address);
  assert.equal((await client.receiveToEnd()).length, 0);
  assert.equal((await proxy.log.nth("session ended")).reason, "no upstream could be reached");
  assert.equal(proxy.log.of("upstream failed").length, 2);
  assert.equal(await proxy.size(), 0);
});

Deno.test("an upstream that does not answer is left after connect_timeout", async () => {
  // A listener whose backlog is full does not answer.
  await using proxy = TestProxy.start({
    hosts: [{ addr: "silent.test:1" }],
    upstream_option: { connect_timeout: "50ms" },
  }, { lookup: () => new Promise(() => {}) });
  using client = await RawClient.open(proxy.address);
  await client.receiveToEnd();
  assert.match(String((await proxy.log.nth("upstream failed")).reason), /no answer within 50 ms/);
});

const CHECK = { interval: 3_600_000, timeout: 3_600_000, rise: 1, fall: 1 };
const LINUX = { ignore: Deno.build.os !== "linux" };
/** Of `Addresses`: they stay in the order of the look-up. */
const AS_THEY_ARE = () => 0.99;

Deno.test("of the addresses of a name, one that refuses is left for the next at once", async () => {
  await using good = named("g");
  await using proxy = TestProxy.start({
    hosts: [{ addr: `backend.test:${good.port}` }],
    shutdown_timeout: "10ms",
  }, {
    lookup: (name) => Promise.resolve(name === "backend.test" ? ["127.0.0.2", "::1", "127.0.0.1"] : []),
    random: AS_THEY_ARE,
  });
  assert.equal(await whoAnswers(proxy, ""), "g");
});

Deno.test(
  "of the addresses of a name, one that does not answer is not waited for, and for a while tried last",
  LINUX,
  async () => {
    await using good = named("g");
    let now = 0;
    await using proxy = TestProxy.start({
      hosts: [{ addr: `backend.test:${good.port}` }],
      upstream_option: { connect_timeout: "1h" },
      shutdown_timeout: "10ms",
    }, {
      lookup: () => Promise.resolve(["127.0.0.2", "127.0.0.1"]),
      random: AS_THEY_ARE,
      now: () => now,
    });
    {
      await using _silent = await silentAt(good.port);
      assert.equal(await whoAnswers(proxy, ""), "g");
    }
    await using _better = named("b", { hostname: "127.0.0.2", port: good.port });
    assert.equal(await whoAnswers(proxy, ""), "g");
    now = LAST_FOR;
    assert.equal(await whoAnswers(proxy, ""), "b");
    assert.equal((await proxy.proxy.snapshot()).upstreams[0]!.failures, 0);
  },
);

Deno.test("sessions are spread over the addresses of a name", LINUX, async () => {
  await using one = named("a");
  await using _two = named("b", { hostname: "127.0.0.2", port: one.port });
  const random = new Random(1);
  await using proxy = TestProxy.start({
    hosts: [{ addr: `backend.test:${one.port}` }],
    shutdown_timeout: "10ms",
  }, { lookup: () => Promise.resolve(["127.0.0.1", "127.0.0.2"]), random: () => random.next() });
  const seen: Record<string, number> = { a: 0, b: 0 };
  for (let i = 0; i < 60; i++) seen[await whoAnswers(proxy, "")]!++;
  assert(seen.a! > 15 && seen.b! > 15, JSON.stringify(seen));
});

Deno.test("upstream_option.check: a host is up while any address of its name answers", LINUX, async () => {
  await using good = named("g");
  await using _silent = await silentAt(good.port);
  const log = new TestLog();
  const state = new HostState({
    ...{ name: "", addr: parseAddress(`backend.test:${good.port}`) },
    ...{ weight: 1, backup: false, drain: false, maxSessions: 0 },
  });
  state.checked(false, CHECK);
  const lookup = () => Promise.resolve(["127.0.0.2", "127.0.0.1"]);
  const health = new HealthCheck(CHECK, () => [state], { log, lookup });
  await log.nth("upstream up");
  health.stop();
});

Deno.test("when no address of a name answers, the log has each with its reason", async () => {
  await using proxy = TestProxy.start({ hosts: [{ addr: "backend.test:1" }] }, {
    lookup: () => Promise.resolve(["127.0.0.2", "127.0.0.3"]),
    random: AS_THEY_ARE,
  });
  using client = await RawClient.open(proxy.address);
  await client.receiveToEnd();
  const { reason } = await proxy.log.nth("upstream failed");
  assert.match(String(reason), /^127\.0\.0\.2:1: .*refused.*; 127\.0\.0\.3:1: .*refused/);
});

Deno.test("a name that nobody has is logged with its reason", async () => {
  await using proxy = TestProxy.start({ hosts: [{ addr: "no-such-host.invalid:1" }] });
  using client = await RawClient.open(proxy.address);
  await client.receiveToEnd();
  assert.match(String((await proxy.log.nth("upstream failed")).reason), /ENOTFOUND|EAI_AGAIN/);
});

Deno.test("upstream_option.resolv: a target that fits is a name to look up; others go to any host", async () => {
  await using resolved = named("r");
  await using other = named("o");
  const asked: string[] = [];
  await using proxy = TestProxy.start({
    hosts: [{ name: "fixed", addr: other.address }],
    upstream_option: { resolv: { prefix: "game-", suffix: ".svc.test", port: resolved.port, pattern: "^s[0-9]+$" } },
    shutdown_timeout: "10ms",
  }, {
    lookup: (name) => {
      asked.push(name);
      if (name === "game-s1.svc.test") return Promise.resolve(["127.0.0.1"]);
      return Promise.reject(Object.assign(new Error(name), { code: name.includes("s3") ? "EAI_AGAIN" : "ENOTFOUND" }));
    },
  });
  const noUpstream = async (target: string) => {
    using client = await RawClient.open(proxy.address, { target });
    assert.equal((await client.receiveToEnd()).length, 0);
  };
  assert.equal(await whoAnswers(proxy, "s1"), "r");
  assert.equal(await whoAnswers(proxy, "fixed"), "o");
  assert.equal(await whoAnswers(proxy, "x1"), "o");
  assert.equal(await whoAnswers(proxy, ""), "o");
  // Never another backend than the one that was meant.
  await noUpstream("s2");
  await noUpstream("s3");
  assert.deepEqual(asked, ["game-s1.svc.test", "game-s2.svc.test", "game-s3.svc.test"]);
  assert.equal((await proxy.log.nth("upstream name unknown")).hostname, "game-s2.svc.test");
  assert.equal((await proxy.log.nth("upstream name not looked up")).hostname, "game-s3.svc.test");
  assert.equal((await proxy.stats()).sessionsEnded.no_upstream, 2);
});

Deno.test("upstream_option.resolv without a pattern: a name that does not exist gets any host, one that is not answered none", async () => {
  await using other = named("o");
  await using proxy = TestProxy.start({
    hosts: [{ name: "fixed", addr: other.address }],
    upstream_option: { resolv: { suffix: ".svc.test", port: 1 } },
    shutdown_timeout: "10ms",
  }, {
    lookup: (name) =>
      Promise.reject(Object.assign(new Error(name), { code: name.startsWith("down") ? "EAI_AGAIN" : "ENOTFOUND" })),
  });
  assert.equal(await whoAnswers(proxy, "nobody"), "o");
  using client = await RawClient.open(proxy.address, { target: "down" });
  assert.equal((await client.receiveToEnd()).length, 0);
});

Deno.test("targets that the DNS never answers, and hosts whose names it never answers, hold up no session of another host", async () => {
  await using good = named("g");
  const asked: string[] = [];
  const silent = Array.from({ length: 40 }, (_, i) => ({ name: `silent${i}`, addr: `silent${i}.test:1` }));
  await using proxy = TestProxy.start({
    hosts: [{ name: "ip", addr: good.address }, { name: "named", addr: `named.test:${good.port}` }, ...silent],
    upstream_option: { connect_timeout: "1h", resolv: { suffix: ".svc.test", port: good.port } },
    shutdown_timeout: "10ms",
  }, {
    lookup: (name) => {
      asked.push(name);
      return name === "named.test" ? Promise.resolve(["127.0.0.1"]) : new Promise(() => {});
    },
  });
  const clients: RawClient[] = [];
  const begin = async (target: string) => clients.push(await RawClient.open(proxy.address, { target }));
  for (let i = 0; i < 40; i++) await begin(`target${i}`);
  await proxy.log.nth("upstream name not looked up", 24);
  assert.equal(asked.length, 16);
  assert.equal(await whoAnswers(proxy, "named"), "g");
  for (let i = 0; i < 40; i++) await begin(`silent${i}`);
  while ((await proxy.proxy.snapshot()).upstreams.filter(({ sessions }) => sessions > 0).length < 40) await turn();
  assert.equal(asked.length, 16 + 1 + 12);
  assert.equal(await whoAnswers(proxy, "ip"), "g");
  assert.equal(await whoAnswers(proxy, "named"), "g");
  for (const client of clients) client[Symbol.dispose]();
});

Deno.test("a backend may be a Unix socket", { ignore: Deno.build.os === "windows" }, async () => {
  const path = `${await Deno.makeTempDir()}/backend.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const serving = listener.accept().then((conn) => echo(new SocketLink(conn)).finally(() => conn.close()));
  {
    await using proxy = TestProxy.start({ hosts: [{ addr: `unix:${path}` }] });
    using client = await RawClient.open(proxy.address);
    await client.send(pattern(0, 1000));
    assertSameBytes(await client.receive(1000), pattern(0, 1000));
    assert.equal((await proxy.log.nth("session new")).upstream, `unix:${path}`);
  }
  await serving;
  listener.close();
});

Deno.test("upstream_option.net scp: the leg to another proxy resumes by itself, and no byte is lost", async () => {
  await using backend = new Backend();
  await using inner = TestProxy.start({
    hosts: [{ name: "deep", addr: backend.address }],
    scp: { reuse_buffer: "16MiB" },
    shutdown_timeout: "10ms",
  });
  // Between the two proxies: a relay that cuts each connection after so many bytes.
  const cuts = new Random();
  await using relay = new Backend().serve(async (link) => {
    const worn = new CuttingLink(link, cuts.int(500, 40_000));
    const onward = await tcp(inner.address);
    const copy = async (from: typeof worn | typeof onward, to: typeof worn | typeof onward) => {
      const buffer = new Uint8Array(4096);
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        await writeAll(to, buffer.slice(0, n));
      }
    };
    await Promise.race([copy(worn, onward), copy(onward, worn)]).finally(() => onward.close());
  });
  await using outer = TestProxy.start({
    hosts: [{ addr: relay.address }],
    upstream_option: { net: "scp" },
    scp: { reuse_buffer: "16MiB" },
    shutdown_timeout: "10ms",
  });
  using client = await RawClient.open(outer.address, { target: "deep" });
  const far = await backend.accept();
  const total = 200_000;
  const received = Promise.all([client.receive(total), readExactly(far, total)]);
  for (let at = 0; at < total; at += 1000) {
    await client.send(pattern(at, 1000, 1));
    await writeAll(far, pattern(at, 1000, 2));
  }
  const [down, up] = await received;
  assertSameBytes(down, pattern(0, total, 2), `seed ${cuts.seed}`);
  assertSameBytes(up, pattern(0, total, 1), `seed ${cuts.seed}`);
  await outer.log.nth("upstream resumed");
});

Deno.test("upstream_option.net scp: an upstream that is no SCP server is left for another", async () => {
  await using backend = new Backend().serve((link) => writeAll(link, new TextEncoder().encode("\x00\x05hello")));
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], upstream_option: { net: "scp" } });
  const connection = await Connection.open({ dial: () => tcp(proxy.address), onClosed: () => {} });
  assert.match(String((await proxy.log.nth("upstream failed")).reason), /^400/);
  connection.close();
});
