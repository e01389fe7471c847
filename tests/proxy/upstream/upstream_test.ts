import assert from "node:assert/strict";
import { Connection } from "../../../lib/client/connection.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { SocketLink } from "../../../lib/link/tcp.ts";
import { Backend, echo, readExactly } from "../../helpers/backend.ts";
import { CuttingLink } from "../../helpers/cutting_link.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { RawClient, tcp } from "../../helpers/raw_client.ts";

/** A port that nothing listens on. */
function deadAddress(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return `127.0.0.1:${listener.addr.port}`;
}

/** A backend that says who it is, and then echoes. */
function named(name: string): Backend {
  return new Backend().serve(async (link) => {
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

Deno.test("the addresses of a name are tried in turn", async () => {
  await using good = named("g");
  await using proxy = TestProxy.start({
    hosts: [{ addr: `backend.test:${good.port}` }],
    shutdown_timeout: "10ms",
  }, { lookup: (name) => Promise.resolve(name === "backend.test" ? ["127.0.0.2", "::1", "127.0.0.1"] : []) });
  assert.equal(await whoAnswers(proxy, ""), "g");
});

Deno.test("when no address of a name answers, the log has each with its reason", async () => {
  await using proxy = TestProxy.start({ hosts: [{ addr: "backend.test:1" }] }, {
    lookup: () => Promise.resolve(["127.0.0.2", "127.0.0.3"]),
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
      return name === "game-s1.svc.test" ? Promise.resolve(["127.0.0.1"]) : Promise.reject(new Error("unknown"));
    },
  });
  assert.equal(await whoAnswers(proxy, "s1"), "r");
  assert.equal(await whoAnswers(proxy, "fixed"), "o");
  assert.equal(await whoAnswers(proxy, "x1"), "o");
  assert.equal(await whoAnswers(proxy, "s2"), "o");
  assert.equal(await whoAnswers(proxy, ""), "o");
  assert.deepEqual(asked, ["game-s1.svc.test", "game-s2.svc.test"]);
  assert.equal((await proxy.log.nth("upstream name unknown")).hostname, "game-s2.svc.test");
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
