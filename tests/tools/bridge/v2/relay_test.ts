import assert from "node:assert/strict";
import { writeAll } from "../../../../lib/link/link.ts";
import { AckedServer } from "../../../helpers/acked_server.ts";
import { Backend, readExactly, readToEnd } from "../../../helpers/backend.ts";
import { proxyOf, sendAll, TestBridge } from "../../../helpers/bridge.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { flakyTo } from "../../../helpers/flaky.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { settled, until } from "../../../helpers/turns.ts";

const { ConnectionReset } = Deno.errors;
const ONE = () => new Uint8Array(1);

/** How the first session of a bridge has ended. */
async function ending({ log }: TestBridge): Promise<[code: unknown, reason: unknown]> {
  const { code, reason } = await log.nth("bridge session ended");
  assert.equal(log.of("bridge session ended").length, 1);
  return [code, reason];
}

const DONE = [0, "the session has come to its end"];
const BROKE_OFF = [7, "the local program broke off"];

Deno.test("the local program's end is one to the backend, whose answer to all of it comes, then its end", async () => {
  const length = 1_000_000;
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address, { linger: 1 });
  using near = await bridge.open();
  const far = await backend.accept();
  const asked = sendAll(near, length, 1).then(() => near.closeWrite());
  assertSameBytes(await readToEnd(far), pattern(0, length, 1));
  await asked;
  // Nothing is waited for by time: the backend is quiet for as long as it likes.
  const answer = readToEnd(near);
  assert(!await settled(answer));
  await sendAll(far, length, 2);
  await far.closeWrite();
  assertSameBytes(await answer, pattern(0, length, 2));
  assert.deepEqual(await ending(bridge), DONE);
  const { received, sent } = await bridge.log.nth("bridge session ended");
  assert.deepEqual([received, sent], [length, length]);
  assert.equal((await proxy.stats()).sessionsEnded.upstream_closed, 1);
});

Deno.test("the backend's end is one to the local program, which goes on sending; then both are closed", async () => {
  const length = 1_000_000;
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  using near = await bridge.open();
  const far = await backend.accept();
  await sendAll(far, 1000, 2);
  await far.closeWrite();
  assertSameBytes(await readToEnd(near), pattern(0, 1000, 2));
  const sending = sendAll(near, length, 1);
  assertSameBytes(await readExactly(far, length), pattern(0, length, 1));
  await sending;
  assert.equal(bridge.log.of("bridge session ended").length, 0);
  await near.closeWrite();
  assert.equal(await far.read(ONE()), null);
  assert.deepEqual(await ending(bridge), DONE);
});

Deno.test("a local program that breaks off resets the backend, at once", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  const near = await bridge.open();
  const far = await backend.accept();
  await sendAll(near, 1000, 1);
  await readExactly(far, 1000);
  near.reset();
  await assert.rejects(far.read(ONE()), ConnectionReset);
  assert.deepEqual(await ending(bridge), BROKE_OFF);
  assert.equal((await proxy.stats()).sessionsEnded.client_gave_up, 1);
});

Deno.test("a break and a stop are told as such, though the other end has all that was sent", async () => {
  for (const how of ["break", "stop"]) {
    await using server = new AckedServer();
    await using bridge = new TestBridge(server.address);
    using near = await bridge.open();
    await writeAll(near, pattern(0, 1000));
    const end = await server.end();
    await until(() => end.received.length === 1000, () => "it does not come");
    // The ACK goes before it.
    end.write(pattern(0, 1));
    await readExactly(near, 1);
    if (how === "break") near.reset();
    else await bridge.bridge.stop();
    await until(() => end.closedWith !== undefined, () => "the server was not told");
    assert.equal(end.closedWith, 7);
  }
});

Deno.test("a local program that is gone ends its session, though the backend never stops sending", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  const near = await bridge.open();
  const far = await backend.accept();
  await sendAll(near, 300_000, 1);
  near.close();
  assertSameBytes(await readToEnd(far), pattern(0, 300_000, 1));
  const flooding = flood(far).catch(() => {});
  assert.deepEqual(await ending(bridge), BROKE_OFF);
  far.close();
  await flooding;
});

Deno.test("a backend that breaks off resets the local program, which gets before that what came", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  await using bridge = new TestBridge(proxy.address);
  using near = await bridge.open();
  const far = await backend.accept();
  await sendAll(far, 10_000, 2);
  assertSameBytes(await readExactly(near, 10_000), pattern(0, 10_000, 2));
  far.reset();
  await assert.rejects(near.read(ONE()), ConnectionReset);
  const expected = [
    2,
    "the session was lost: the backend broke off, or could not be had (the backend broke off, or could not be had)",
  ];
  assert.deepEqual(await ending(bridge), expected);
});

for (const code of [1, 3, 5, 7, 300]) {
  Deno.test(`a session that the proxy ends with ${code} resets the local program, whichever direction was open`, async () => {
    for (const open of ["both", "up", "down"]) {
      await using server = new AckedServer();
      await using bridge = new TestBridge(server.address);
      using near = await bridge.open();
      const end = await server.end();
      end.write(pattern(0, 10_000));
      if (open === "up") end.stream.finish();
      if (open === "down") await near.closeWrite();
      await until(() => end.isEnded === (open === "down"), () => "no end came");
      assertSameBytes(await readExactly(near, 10_000), pattern(0, 10_000));
      if (open === "up") assert.equal(await near.read(ONE()), null);
      end.close(code, "so it is");
      if (open === "up") await assert.rejects(flood(near));
      else await assert.rejects(near.read(ONE()), ConnectionReset);
      const [said, reason] = await ending(bridge);
      assert.equal(said, code);
      assert.match(String(reason), /\(so it is\)$/);
    }
  });
}

Deno.test("a proxy's word that all has ended is no end to the local program, where the backend's did not come", async () => {
  await using server = new AckedServer();
  await using bridge = new TestBridge(server.address);
  using near = await bridge.open();
  (await server.end()).close(0);
  await assert.rejects(near.read(ONE()), ConnectionReset);
  assert.equal((await ending(bridge))[0], 4);
});

Deno.test("what came before a loss is passed on before the reset", async () => {
  await using server = new AckedServer();
  await using bridge = new TestBridge(server.address);
  using near = await bridge.open();
  const end = await server.end();
  end.write(pattern(0, 10_000));
  end.close(3);
  assertSameBytes(await readExactly(near, 10_000), pattern(0, 10_000));
  await assert.rejects(near.read(ONE()), ConnectionReset);
});

Deno.test("a session that cannot be resumed is lost with code 6, and resets the local program", async () => {
  await using server = new AckedServer({ reuse: 1, steps: Array.from({ length: 100 }, () => "drop" as const) });
  await using bridge = new TestBridge(server.address, { session: () => ({ random: () => 0 }) });
  using near = await bridge.open();
  (await server.end()).stream.detach("lost");
  await assert.rejects(near.read(ONE()), ConnectionReset);
  const [code, reason] = await ending(bridge);
  assert.equal(code, 6);
  assert.match(String(reason), /gave up after 1 ms/);
  assert.equal(bridge.log.of("bridge session lost").length, 1);
});

Deno.test("stop() resets both ends, also of a session that has no link, and tells the proxy", async () => {
  for (const isCut of [false, true]) {
    await using backend = new Backend();
    await using proxy = proxyOf(backend);
    await using relay = flakyTo(proxy.address);
    await using bridge = new TestBridge(relay.address);
    using near = await bridge.open();
    const far = await backend.accept();
    await sendAll(near, 1000, 1);
    await readExactly(far, 1000);
    if (isCut) {
      await relay.stop();
      await bridge.log.nth("bridge session lost");
    }
    await bridge.bridge.stop();
    await assert.rejects(near.read(ONE()), ConnectionReset);
    assert.deepEqual(await ending(bridge), [7, "the bridge was stopped"]);
    if (!isCut) await assert.rejects(far.read(ONE()), ConnectionReset);
  }
});

Deno.test("a server of version 1 is spoken to in that, unless version 2 was asked for", async () => {
  await using backend = new Backend();
  const hosts = [{ addr: backend.address }];
  await using proxy = TestProxy.start({ hosts, scp: { version: 1 }, shutdown_timeout: "10ms" });
  await using bridge = new TestBridge(proxy.address);
  using _near = await bridge.open();
  assert.equal((await bridge.log.nth("bridge session begun")).version, 1);
  await using strict = new TestBridge(proxy.address, { version: 2 });
  using refused = await strict.open();
  await assert.rejects(refused.read(ONE()), ConnectionReset);
  const { reason } = await strict.log.nth("bridge session failed");
  assert.match(String(reason), /Cannot speak version 2: the server answered in version 1/);
});

Deno.test("a session moves to where the server wants it", async () => {
  await using server = new AckedServer();
  const lines: string[] = [];
  await using other = flakyTo(server.address, { tell: (line) => lines.push(line), cutAfterBytes: 2 ** 30 });
  await using bridge = new TestBridge(server.address, { session: () => ({ random: () => 0 }) });
  using near = await bridge.open();
  const end = await server.end();
  end.stream.move(`tcp://${other.address}`);
  await bridge.log.nth("bridge session resumed");
  end.write(pattern(0, 100));
  assertSameBytes(await readExactly(near, 100), pattern(0, 100));
  assert.equal(lines.filter((line) => /to be cut/.test(line)).length, 1, lines.join("\n"));
});

/** Writes until that fails. */
async function flood(link: Parameters<typeof writeAll>[0]): Promise<void> {
  for (;;) await writeAll(link, pattern(0, 10_000));
}
