import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { mock } from "node:test";
import type { BridgeOptions } from "../../../../lib/tools/bridge/bridge.ts";
import { type Link, writeAll } from "../../../../lib/link/link.ts";
import { Backend, readExactly, readToEnd } from "../../../helpers/backend.ts";
import { disposable, proxyOf, sendAll, TestBridge } from "../../../helpers/bridge.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { tcp } from "../../../helpers/raw_client.ts";
import { scripted } from "../../../helpers/scripted.ts";
import { stalled } from "../../../helpers/turns.ts";

const bridgeTo = ({ address }: { address: string }, options: Partial<BridgeOptions> = {}) =>
  new TestBridge(address, { version: 1, ...options });

Deno.test("when the backend ends, the local program gets all it sent, then the end of the stream", async () => {
  const length = 3_000_000;
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = bridgeTo(proxy);
  using near = await bridge.open();
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
  await using bridge = bridgeTo(proxy);
  using near = await bridge.open();
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
  await using bridge = bridgeTo(proxy);
  using near = await bridge.open();
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
  await using proxy = proxyOf(backend, "10ms");
  await using bridge = bridgeTo(proxy, { linger: 1 });
  using near = await bridge.open();
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
  await using bridge = bridgeTo(proxy, { linger: 1000, session: () => ({ dial, random: () => 0 }) });
  using near = await bridge.open();
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
  await using bridge = bridgeTo(proxy, { linger: 1000 });
  using near = await bridge.open();
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
  await using bridge = bridgeTo(proxy);
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
  await using bridge = bridgeTo(proxy);
  const near = connect(bridge.bridge.address.port, bridge.bridge.address.hostname);
  await backend.accept();
  near.resetAndDestroy();
  await once(near, "close");
  assert.equal((await bridge.log.nth("bridge session ended")).reason, "the local program ended it");
});

Deno.test("a session that is lost for good resets the local connection, and one line says why", async () => {
  await using server = scripted("7\n782riWdFIwE=", "0\n406");
  await using bridge = bridgeTo(server, { session: () => ({ random: () => 0 }) });
  using near = await bridge.open();
  await assert.rejects(near.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  const { id, reason } = await bridge.log.nth("bridge session ended");
  assert.equal(id, 7);
  assert.match(String(reason), /^lost for good: .*refused to resume/);
  assert.equal(bridge.log.of("bridge session ended").length, 1);
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
