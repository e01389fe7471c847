import assert from "node:assert/strict";
import type { Engine } from "../../../lib/link/engine/engine.ts";
import { type Link, writeAll } from "../../../lib/link/link.ts";
import { HandOver } from "../../../lib/proxy/cluster/hand_over.ts";
import type { Preface } from "../../../lib/proxy/seams.ts";
import { SessionIds } from "../../../lib/proxy/session/session_ids.ts";
import { Backend, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { testEngine } from "../../helpers/engine.ts";
import { TestLog, TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { ask, pair, record, tcp } from "../../helpers/raw_client.ts";
import { stalled } from "../../helpers/turns.ts";

const SECRET = "s".repeat(64);
const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };
const PREFACE: Preface = {
  remote: { hostname: "192.0.2.1", port: 1 },
  local: { hostname: "::1", port: 2 },
  dialect: "plain",
};

const listen = (engine: Engine) =>
  engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 10, isShared: false, tcp: {} });

/** Two that hand over to each other, and what the second takes over. */
function two(): { one: HandOver; other: HandOver; taken: () => Promise<Taken>; stop: () => Promise<unknown> } {
  const engine = testEngine();
  const listeners = [listen(engine), listen(engine)];
  const peers = listeners.map(({ address }) => address);
  const log = new TestLog();
  const all: HandOver[] = listeners.map((listener, index) =>
    new HandOver(listener, {
      engine,
      index,
      peers,
      secret: SECRET,
      log,
      tellClosed: (by, number) => all[by]!.ownerClosed(number),
    })
  );
  const [one, other] = all as [HandOver, HandOver];
  const next = Promise.withResolvers<Taken>();
  one.accept((link) => link.close());
  other.accept((link, read) => next.resolve(read().then((said) => ({ link, ...said }))));
  const stop = () => Promise.all(all.map((each) => each.stop(0))).then(() => engine.close());
  return { one, other, taken: () => next.promise, stop };
}

interface Taken {
  link: Link;
  preface: Preface;
  rest: Uint8Array;
}

Deno.test("HandOver gives a connection to its owner, with who it is, what was read of it, and every byte both ways", async () => {
  await using backend = new Backend();
  const { one, taken, stop } = two();
  const [client, near] = await pair(backend);
  await one.carry(near, 1, PREFACE, pattern(0, 100));
  const { link, preface, rest } = await taken();
  assert.deepEqual(preface, PREFACE);
  await Promise.all([writeAll(client, pattern(1, 50_000)), writeAll(link, pattern(2, 50_000))]);
  assertSameBytes(rest, pattern(0, 100).subarray(0, rest.length));
  assertSameBytes(await readExactly(link, 100 - rest.length), pattern(0, 100).subarray(rest.length));
  assertSameBytes(await readExactly(link, 50_000), pattern(1, 50_000));
  assertSameBytes(await readExactly(client, 50_000), pattern(2, 50_000));
  client.close();
  assert.equal(await link.read(new Uint8Array(1)), null);
  link.close();
  await stop();
});

Deno.test("HandOver closes a connection that its owner closed, also while the client takes nothing", async () => {
  await using backend = new Backend();
  const { one, taken, stop } = two();
  const [client, near] = await pair(backend);
  let closed = 0;
  const closing = Promise.withResolvers<void>();
  const counted: Link = {
    read: (buffer) => near.read(buffer),
    write: (bytes) => near.write(bytes),
    closeWrite: () => near.closeWrite(),
    close: () => {
      closed++;
      near.close();
      closing.resolve();
    },
  };
  await one.carry(Object.assign(counted, { remote: near.remote, local: near.local }), 1, PREFACE, new Uint8Array(0));
  const { link } = await taken();
  let written = 0;
  const filling = (async () => {
    for (const bytes = new Uint8Array(2 ** 16);;) written += await link.write(bytes);
  })().catch(() => {});
  await stalled(() => written);
  assert.equal(closed, 0);
  link.close();
  await closing.promise;
  await filling;
  client.close();
  await stop();
});

Deno.test("a resume whose owner cannot be reached is answered with 501: the client may come again", async () => {
  const engine = testEngine();
  const [own, gone] = [listen(engine), listen(engine)];
  await gone.close();
  const peers = [own.address, gone.address];
  const handOver = new HandOver(own, {
    engine,
    index: 0,
    peers,
    secret: SECRET,
    log: new TestLog(),
    tellClosed: () => {},
  });
  await using proxy = TestProxy.start(ECHO, { cluster: { index: 0, size: 2, carry: handOver.carry } });
  handOver.accept((link, read) => proxy.proxy.takeOver(link, read));
  const id = new SessionIds(1n, { owner: 1, bits: 2 }).next();
  const { link, answer } = await ask(proxy.address, `${id}\n1\n0\nAAAAAAAAAAA=`);
  link.close();
  assert.equal(answer, "0\n501");
  assert.match(String((await proxy.log.nth("handshake failed")).reason), /peer that has the session cannot be reached/);
  // Of an owner that there is not, and of this one: there is no such session.
  for (const owner of [0, 3]) {
    const stranger = new SessionIds(1n, { owner, bits: 2 }).next();
    const asked = await ask(proxy.address, `${stranger}\n1\n0\nAAAAAAAAAAA=`);
    asked.link.close();
    assert.equal(asked.answer, "0\n404");
  }
  // Where peers come, others are not let in.
  for (const content of ["", "0\n782riWdFIwE=\n\n0", SECRET, SECRET.slice(1) + "x" + JSON.stringify(PREFACE)]) {
    const intruder = await tcp(`127.0.0.1:${peers[0]!.port}`);
    await writeAll(intruder, record(content));
    assert.equal((await readToEnd(intruder)).length, 0);
    intruder.close();
  }
  await handOver.stop(0);
  await engine.close();
});
