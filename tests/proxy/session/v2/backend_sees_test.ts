import assert from "node:assert/strict";
import type { EngineName } from "../../../../lib/config/engines.ts";
import { mock } from "node:test";
import { writeAll } from "../../../../lib/link/link.ts";
import type { TcpLink } from "../../../../lib/link/tcp.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend, readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { deadAddress } from "../../../helpers/dead_address.ts";
import { engineOf, WORKING } from "../../../helpers/engine.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { until } from "../../../helpers/turns.ts";

const MIB = 2 ** 20;

/** A client, a proxy with that engine, and the backend's end of their session. */
async function stage(io: EngineName, keys: Record<string, unknown> = {}) {
  const backend = new Backend();
  const engine = engineOf(io);
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms", ...keys }, { engine });
  const client = await AckedClient.open(proxy.address);
  const far = await backend.accept();
  // The system accepts before the proxy hears that it is connected.
  await proxy.log.nth("session new");
  await client.send(pattern(0, 100));
  let stopped: Promise<void> | undefined;
  const stop = () => stopped ??= proxy.stop();
  return {
    ...{ proxy, client, far, stop },
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await stop();
      await engine.close();
      await backend[Symbol.asyncDispose]();
    },
  };
}

/** What a backend gets, and how that ends. */
async function seenBy(far: TcpLink): Promise<[bytes: number, how: "end" | "reset"]> {
  const buffer = new Uint8Array(65_536);
  for (let bytes = 0;;) {
    const n = await far.read(buffer).catch(() => undefined);
    if (!n) return [bytes, n === null ? "end" : "reset"];
    assertSameBytes(buffer.subarray(0, n), pattern(bytes, n));
    bytes += n;
  }
}

/** What ends a session, and with which code. */
const CUTS: [what: string, code: number, cut: (all: Awaited<ReturnType<typeof stage>>) => unknown][] = [
  ["an operator", 3, ({ proxy, client }) => proxy.proxy.endSession(client.id)],
  ["shutdown_timeout", 1, ({ stop }) => void stop()],
  ["a client that gives up", 7, ({ client }) => client.stream.close(7, "no more")],
  ["a client that breaks the protocol", 4, ({ client }) => writeAll(client.link, Uint8Array.of(9))],
];

for (const io of WORKING) {
  for (const [what, code, cut] of CUTS) {
    Deno.test(`what ${what} ends the backend sees as a reset; after the client's FIN it is an end, io ${io}`, async () => {
      await using cutOff = await stage(io);
      const { proxy, client } = cutOff;
      await cut(cutOff);
      assert.equal((await seenBy(cutOff.far))[1], "reset");
      await proxy.log.nth("session ended");
      if (code !== 7) assert.equal((await client.ending()).code, code);
      if (code !== 1) assert.equal(await client.askEnd(), code);
      await using whole = await stage(io);
      whole.client.stream.finish();
      await whole.client.until(() => whole.client.session.isSentDone);
      await cut(whole);
      assert.deepEqual(await seenBy(whole.far), [100, "end"]);
      whole.far.close();
    });
  }

  Deno.test(`CLOSE 0 delivers all that was acknowledged, also to a backend that still sends, io ${io}`, async () => {
    await using all = await stage(io);
    const { client, far } = all;
    let written = 0;
    const writing = (async () => {
      for (const bytes = new Uint8Array(65_536);; written += bytes.length) await writeAll(far, bytes);
    })().catch(() => {});
    await client.send(pattern(100, MIB));
    const { session } = client;
    await until(() => session.acked === session.sent, () => "the systems between hold less than a MiB");
    client.stream.close(0, "");
    await all.proxy.log.nth("session ended");
    assert.deepEqual(await seenBy(far), [100 + MIB, "end"]);
    far.close();
    await writing;
  });

  Deno.test(`a backend's reset: all that it sent before, then CLOSE 2; a CLOSE that was lost is told by 410, io ${io}`, async () => {
    await using all = await stage(io);
    const { client, far, proxy } = all;
    await writeAll(far, pattern(0, 5000, 1));
    await client.until(() => client.received.length > 0);
    await client.until(() => client.session.received === 5000);
    far.reset();
    await proxy.log.nth("upstream closed");
    if (client.end === undefined) {
      client.session.sayAck();
      await client.send(new Uint8Array(1));
    }
    assert.equal((await client.ending()).code, 2);
    assert.equal(await client.askEnd(), 2);
    assertSameBytes(await client.receive(5000), pattern(0, 5000, 1));
  });
}

Deno.test("no backend can be had: the session is answered, then CLOSE 2, and the log says why", async () => {
  await using proxy = TestProxy.start({ hosts: [{ addr: deadAddress() }], shutdown_timeout: "10ms" });
  using client = await AckedClient.open(proxy.address);
  assert.equal((await client.ending()).code, 2);
  assert.match(String((await proxy.log.nth("session ended")).reason), /refused|could be reached/);
  assert.equal(await client.askEnd(), 2);
  assert.equal((await proxy.gauges()).cacheBytes, 0);
});

Deno.test("stop(): who is away is ended at once by 1; who is there goes on until shutdown_timeout, or ends as ever", async () => {
  await using backend = new Backend();
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "1h" });
  using away = await AckedClient.open(proxy.address);
  const farOfAway = await backend.accept();
  using there = await AckedClient.open(proxy.address);
  const far = await backend.accept();
  await away.send(pattern(0, 10));
  away.stream.detach("away");
  await proxy.log.nth("session lost");
  const stopped = proxy.stop();
  assert.equal((await proxy.log.nth("session ended")).reason, "shutdown");
  await readToEnd(farOfAway).catch(() => {});
  await there.send(pattern(0, 1000));
  const got = readToEnd(far);
  await writeAll(far, pattern(0, 1000, 1));
  assertSameBytes(await there.receive(1000), pattern(0, 1000, 1));
  there.stream.finish();
  assertSameBytes(await got, pattern(0, 1000));
  await far.closeWrite();
  assert.equal((await there.ending()).code, 0);
  await stopped;
});

Deno.test("stop(): who is lost after it is ended by 1", async () => {
  await using backend = new Backend();
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "1h" });
  using client = await AckedClient.open(proxy.address);
  await backend.accept();
  await proxy.log.nth("session new");
  const stopped = proxy.stop();
  client.stream.detach("lost");
  await stopped;
  assert.equal((await proxy.log.nth("session ended")).reason, "shutdown");
});

Deno.test("stop(): sessions are looked at to the last: what is consumed is acknowledged", async () => {
  mock.timers.enable({ apis: ["setInterval"] });
  using _timers = { [Symbol.dispose]: () => mock.timers.reset() };
  await using backend = new Backend();
  const proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { v2: { ping_interval: 1, ping_timeout: "3s" } },
    shutdown_timeout: "1h",
  });
  using client = await AckedClient.open(proxy.address);
  const far = await backend.accept();
  await proxy.log.nth("session new");
  const stopped = proxy.stop();
  await client.send(pattern(0, 100));
  assertSameBytes(await readExactly(far, 100), pattern(0, 100));
  // By the clock that nobody sets no time has passed, but a look is enough for a PING, and with it goes the ACK.
  mock.timers.tick(1000);
  await client.until(() => client.session.acked === 100);
  client.stream.finish();
  await far.closeWrite();
  await stopped;
});
