import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { mock } from "node:test";
import { type Bridge, type BridgeOptions, startBridge } from "../../../lib/tools/bridge/bridge.ts";
import { formatEndpoint, type Link, writeAll } from "../../../lib/link/link.ts";
import { Backend, echo, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { CuttingLink, dialer } from "../../helpers/cutting_link.ts";
import { TestLog, TestProxy } from "../../helpers/proxy.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { scripted } from "../../helpers/scripted.ts";
import { stalled } from "../../helpers/turns.ts";

/** So long that no test sees it pass. */
const NEVER = 2 ** 30;

/** A bridge on a random port, to which a test connects. */
class TestBridge implements AsyncDisposable {
  readonly log = new TestLog();
  readonly bridge: Bridge;

  constructor(connect: string, options: Partial<BridgeOptions> = {}) {
    const listen = { hostname: "127.0.0.1", port: 0 };
    this.bridge = startBridge({ listen, connect, linger: NEVER, log: this.log, ...options });
  }

  /** A local program's connection. */
  open() {
    return tcp(formatEndpoint(this.bridge.address));
  }

  async [Symbol.asyncDispose]() {
    await this.bridge.stop();
  }
}

function proxyOf(backend: Backend): TestProxy {
  const hosts = [{ name: "one", addr: backend.address }];
  return TestProxy.start({ hosts, scp: { reuse_time: "10ms" }, shutdown_timeout: "10ms" });
}

async function sendAll(link: Link, length: number, stream: number): Promise<void> {
  for (let at = 0; at < length; at += 10_000) await writeAll(link, pattern(at, Math.min(10_000, length - at), stream));
}

Deno.test("every byte comes, both ways and in both dialects, over links that are cut again and again", async () => {
  const [random, length] = [new Random(), 500_000];
  await using backend = new Backend();
  const hosts = [{ name: "one", addr: backend.address }];
  const scp = { reuse_buffer: "4MiB" };
  await using proxy = TestProxy.start({ hosts, scp, shutdown_timeout: "10ms" });
  const buried: (() => void)[] = [];
  for (const [connect, dialect] of [[proxy.address, "goscon"], [proxy.plainAddress, "plain"]] as const) {
    const session = () => {
      const { dial, bury } = dialer({ address: connect, cutWithin: 200_000, abandon: 0.4, random: random.fork() });
      buried.push(bury);
      return { dial, random: () => 0 };
    };
    await using bridge = new TestBridge(connect, { dialect, target: "one", session });
    const near = await bridge.open();
    const far = await backend.accept();
    const [up, down] = await Promise.all([
      readExactly(far, length),
      readExactly(near, length),
      sendAll(near, length, 1),
      sendAll(far, length, 2),
    ]);
    const note = `GOSCON_SEED=${random.seed} shows this again`;
    assertSameBytes(up, pattern(0, length, 1), note);
    assertSameBytes(down, pattern(0, length, 2), note);
    const { id, client } = await bridge.log.nth("bridge session begun");
    const [lost, resumed] = [bridge.log.of("bridge session lost"), bridge.log.of("bridge session resumed")];
    assert(lost.length > 1 && resumed.length > 1, "it was not cut");
    assert.deepEqual([lost[0]!.id, lost[0]!.client, client], [id, formatEndpoint(near.local), lost[0]!.client]);
    assert.equal((await proxy.log.nth("session new")).target, "one");
    near.close();
  }
  for (const bury of buried) bury();
});

Deno.test("when the backend ends, the local program gets all it sent, then the end of the stream", async () => {
  const length = 3_000_000;
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  using near = disposable(await bridge.open());
  const far = await backend.accept();
  await writeAll(near, pattern(0, 10));
  await readExactly(far, 10);
  const sending = sendAll(far, length, 1).then(() => far.close());
  assertSameBytes(await readToEnd(near), pattern(0, length, 1));
  await sending;
  const { reason, received, sent } = await bridge.log.nth("bridge session ended");
  assert.deepEqual([reason, received, sent], ["the backend ended it", length, 10]);
});

Deno.test("a local program that still sends when the session has ended is not reset: it sees the end at once", async () => {
  using clock = mockedClock();
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  using near = disposable(await bridge.open());
  const far = await backend.accept();
  await writeAll(far, pattern(0, 1000));
  far.close();
  while (bridge.log.of("bridge session ended").length === 0) await clock.tick(25);
  for (let i = 0; i < 3; i++) {
    await writeAll(near, pattern(0, 1000));
    await stalled(() => 0);
  }
  assertSameBytes(await readToEnd(near), pattern(0, 1000));
});

Deno.test("a local program that has ended its direction gets what the backend still sends, until that ends", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  using near = disposable(await bridge.open());
  const far = await backend.accept();
  await writeAll(near, pattern(0, 5000));
  await near.closeWrite();
  assertSameBytes(await readExactly(far, 5000), pattern(0, 5000));
  for (let at = 0; at < 100_000; at += 1000) {
    await writeAll(far, pattern(at, 1000));
    assertSameBytes(await readExactly(near, 1000), pattern(at, 1000));
  }
  far.close();
  assert.equal(await near.read(new Uint8Array(1)), null);
  assert.equal((await bridge.log.nth("bridge session ended")).reason, "the backend ended it");
});

Deno.test("a local program that has ended its direction is closed once the backend was quiet, which has every byte", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address, { linger: 1 });
  using near = disposable(await bridge.open());
  const far = await backend.accept();
  await sendAll(near, 300_000, 1);
  const got = readToEnd(far);
  await near.closeWrite();
  assert.equal(await near.read(new Uint8Array(1)), null);
  assertSameBytes(await got, pattern(0, 300_000, 1));
  const { reason, sent } = await bridge.log.nth("bridge session ended");
  assert.deepEqual([reason, sent], ["the local program ended it", 300_000]);
});

Deno.test("each byte of the backend starts its quiet time anew, and time without a link does not count", async () => {
  using clock = mockedClock();
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }] });
  const [links, gate, dialled] = [[] as Link[], Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const dial = async () => {
    if (links.length > 0) {
      dialled.resolve();
      await gate.promise;
    }
    return links[links.push(await tcp(proxy.address)) - 1]!;
  };
  await using bridge = new TestBridge(proxy.address, { linger: 1000, session: () => ({ dial, random: () => 0 }) });
  using near = disposable(await bridge.open());
  using far = disposable(await backend.accept());
  await near.closeWrite();
  await clock.tick(0);
  for (let i = 0; i < 3; i++) {
    await writeAll(far, pattern(i, 1));
    await readExactly(near, 1);
    await clock.tick(999);
  }
  links[0]!.close();
  await bridge.log.nth("bridge session lost");
  await clock.tick(100);
  await dialled.promise;
  await clock.tick(2000);
  gate.resolve();
  await bridge.log.nth("bridge session resumed");
  await stalled(() => 0);
  await writeAll(far, pattern(3, 1));
  assertSameBytes(await readExactly(near, 1), pattern(3, 1));
  await clock.tick(999);
  assert.deepEqual(bridge.log.of("bridge session ended"), []);
  await clock.tick(1);
  assert.equal((await bridge.log.nth("bridge session ended")).reason, "the local program ended it");
});

Deno.test("time in which the local program takes nothing does not count as the backend's quiet", async () => {
  using clock = mockedClock();
  const length = 32 * 2 ** 20;
  await using backend = new Backend();
  // What waits for acknowledgements is asked again by time, which stands still.
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], scp: { in_flight: "unbounded" } });
  await using bridge = new TestBridge(proxy.address, { linger: 1000 });
  using near = disposable(await bridge.open());
  using far = disposable(await backend.accept());
  await near.closeWrite();
  let written = 0;
  const writing = (async () => {
    for (; written < length; written += 2 ** 16) await writeAll(far, pattern(written, 2 ** 16));
  })();
  await stalled(() => written);
  await clock.tick(5000);
  assertSameBytes(await readExactly(near, length), pattern(0, length));
  await writing;
});

Deno.test("a local program that is gone ends its session, though the backend never stops sending", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  const near = await bridge.open();
  const far = await backend.accept();
  await sendAll(near, 300_000, 1);
  near.close();
  // Before the flood: what comes to a closed connection resets it, and what it had sent is lost where it was not read yet.
  assertSameBytes(await readExactly(far, 300_000), pattern(0, 300_000, 1));
  const flooding = (async () => {
    for (;;) await writeAll(far, pattern(0, 10_000));
  })().catch(() => {});
  assert.equal((await bridge.log.nth("bridge session ended")).reason, "the local program ended it");
  far.close();
  await flooding;
});

Deno.test("a local program that resets its connection ends its session, without the quiet time", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  const near = connect(bridge.bridge.address.port, bridge.bridge.address.hostname);
  await backend.accept();
  near.resetAndDestroy();
  await once(near, "close");
  assert.equal((await bridge.log.nth("bridge session ended")).reason, "the local program ended it");
});

Deno.test("a session that is refused, or that no proxy begins, resets the local connection, and the log says why", async () => {
  const cases: [connect: Backend | string, reason: RegExp][] = [
    [scripted("0\n400"), /refused a new session/],
    [scripted(), /closed in the handshake/],
    ["127.0.0.1:1", /refused/],
  ];
  for (const [proxy, reason] of cases) {
    await using bridge = new TestBridge(typeof proxy === "string" ? proxy : proxy.address);
    const near = await bridge.open();
    await assert.rejects(near.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    near.close();
    const failed = await bridge.log.nth("bridge session failed");
    assert.match(String(failed.reason), reason);
    assert.equal(failed.client, formatEndpoint(near.local));
    if (typeof proxy !== "string") await proxy[Symbol.asyncDispose]();
  }
});

Deno.test("a session that is lost for good resets the local connection, and one line says why", async () => {
  await using server = scripted("7\n782riWdFIwE=", "0\n406");
  await using bridge = new TestBridge(server.address, { session: () => ({ random: () => 0 }) });
  using near = disposable(await bridge.open());
  await assert.rejects(near.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  const { id, reason } = await bridge.log.nth("bridge session ended");
  assert.equal(id, 7);
  assert.match(String(reason), /^lost for good: .*refused to resume/);
  assert.equal(bridge.log.of("bridge session ended").length, 1);
});

Deno.test("many connections are carried at once, each as a session of its own", async () => {
  const count = 100;
  await using backend = new Backend().serve(echo);
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  const near = await Promise.all(Array.from({ length: count }, () => bridge.open()));
  await Promise.all(near.map((link, i) => writeAll(link, pattern(0, 5000, i))));
  for (const [i, link] of near.entries()) assertSameBytes(await readExactly(link, 5000), pattern(0, 5000, i));
  assert.equal(await proxy.size(), count);
  assert.equal(new Set(bridge.log.of("bridge session begun").map(({ id }) => id)).size, count);
  for (const link of near) link.close();
});

Deno.test("an end that stalls holds the other up, either way; then every byte comes, though the link is cut meanwhile", async () => {
  const length = 64 * 2 ** 20;
  await using backend = new Backend();
  const scp = { reuse_buffer: "16MiB" };
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], scp, shutdown_timeout: "10ms" });
  // Abandoned when cut: the old connection stays open, and full.
  const links: CuttingLink[] = [];
  const dial = async () => links[links.push(new CuttingLink(await tcp(proxy.address), 2 ** 40, true)) - 1]!;
  await using bridge = new TestBridge(proxy.address, { session: () => ({ dial, random: () => 0 }) });
  using near = disposable(await bridge.open());
  const far = await backend.accept();
  for (const [from, to] of [[near, far], [far, near]] as const) {
    let written = 0;
    const writing = (async () => {
      for (; written < length; written += 2 ** 15) await writeAll(from, pattern(written, 2 ** 15));
    })();
    await stalled(() => written, 5000);
    assert(written < length, "the writer was not held up");
    links.at(-1)!.close();
    // The other way the bridge, which does not read meanwhile, sees the cut later.
    if (from === near) await bridge.log.nth("bridge session resumed");
    assertSameBytes(await readExactly(to, length), pattern(0, length));
    await writing;
  }
  assert(Number(bridge.log.of("bridge session resumed")[0]!.resent) > 2 ** 16, "nothing was under way");
  for (const link of links) link.bury();
});

Deno.test("stop() ends sessions at whatever step they are, and the address is free again", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using silent = new Backend();
  for (const connect of [proxy.address, silent.address]) {
    const bridge = new TestBridge(connect);
    const near = await bridge.open();
    await (connect === proxy.address ? bridge.log.nth("bridge session begun") : silent.accept());
    await Promise.all([bridge.bridge.stop(), bridge.bridge.stop()]);
    await assert.rejects(near.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    near.close();
    assert.equal(bridge.log.events.at(-1)!.reason, "the bridge was stopped");
    await using _next = new TestBridge(connect, { listen: bridge.bridge.address });
    assert.throws(() => new TestBridge(connect, { listen: bridge.bridge.address }), /^Error: Cannot listen on 127/);
  }
});

Deno.test("startBridge() refuses what is no address of a proxy", () => {
  assert.throws(() => new TestBridge("nowhere"), /expected host:port/);
  assert.throws(() => new TestBridge("builtin:echo"), /it is not an address/);
});

/** Timers go only when the test says so, after all that is ready has run. */
function mockedClock(): Disposable & { tick: (ms: number) => Promise<void> } {
  mock.timers.enable({ apis: ["setTimeout"] });
  return {
    tick: async (ms) => {
      await stalled(() => 0, 50);
      mock.timers.tick(ms);
    },
    [Symbol.dispose]: () => mock.timers.reset(),
  };
}

function disposable<T extends Link>(link: T): T & Disposable {
  return Object.assign(link, { [Symbol.dispose]: () => link.close() });
}
