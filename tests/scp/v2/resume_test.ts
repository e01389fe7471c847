import assert from "node:assert/strict";
import { AckedSession, type AckedSessionSnapshot } from "../../../lib/scp/v2/mod.ts";
import { openAcked } from "../../helpers/acked_session.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { allOf, frame, framesOf, summaryOf } from "../../helpers/frames.ts";
import { outgoingAt } from "../../helpers/outgoing.ts";
import { all, none } from "../../helpers/consumers.ts";
import { pattern } from "../../helpers/random.ts";

const NOTHING = new Uint8Array(0);
const SIZES = { cacheSize: 65536, window: 65536, peerWindow: 65536 };

/** One whose streams have come so far, all of it consumed both ways. */
function grown(sent: number, received: number): AckedSession {
  const session = AckedSession.restore({
    ...{ id: 7, secret: "1", dialect: "plain", ...SIZES, index: 3, pings: 0, ciphers: undefined },
    reader: { left: 0, skip: 0, begun: [] },
    outgoing: outgoingAt(sent),
    incoming: { received, said: received, waiting: NOTHING, isFinished: false, isDone: false, isAckWanted: false },
  });
  session.attach(sent, NOTHING);
  allOf(session);
  return session;
}

Deno.test("a resume says an ACK first, when anything was consumed, and then what the peer lacks", () => {
  const session = openAcked();
  session.receive(frame.data(pattern(0, 9)), all);
  allOf(session);
  session.send(pattern(0, 20));
  session.finish();
  allOf(session);
  session.attach(5, NOTHING);
  assert.equal(session.isDue, true);
  assert.equal(summaryOf(allOf(session)), "ack 9 data 15 fin");
  session.attach(20, NOTHING);
  assert.equal(summaryOf(allOf(session)), "ack 9 fin");
  session.attach(21, NOTHING);
  assert.equal(summaryOf(allOf(session)), "ack 9");
});

Deno.test("be it a single byte that was consumed, the resume says so", () => {
  const session = openAcked();
  session.receive(frame.data(pattern(0, 1)), all);
  session.attach(0, NOTHING);
  assert.equal(summaryOf(allOf(session)), "ack 1");
});

Deno.test("a new session's first link brings no ACK", () => {
  const session = openAcked();
  assert.deepEqual([session.isDue, session.wire.length], [false, 0]);
});

Deno.test("the frame that was begun on the old link is forgotten, and its bytes that came are kept", () => {
  const session = openAcked();
  session.receive(frame.data(pattern(0, 9)).slice(0, 7), none);
  assert.equal(session.received, 4);
  session.attach(0, NOTHING);
  const parts: Uint8Array[] = [];
  const eater = { take: (bytes: Uint8Array) => (parts.push(bytes.slice()), bytes.length) };
  session.receive(concat([frame.data(pattern(4, 5)), frame.ping(1)]), eater);
  assertSameBytes(concat(parts), pattern(0, 9));
  assert.equal(summaryOf(allOf(session)), "ack 9 pong 1");
});

Deno.test("what the peer has received is neither acknowledged nor given room, and still fills its window", () => {
  const session = openAcked({ peerWindow: 4096 });
  session.send(pattern(0, 4096));
  allOf(session);
  session.attach(4096, NOTHING);
  assert.deepEqual([session.sent, session.acked, session.room], [4096, 0, 0]);
  session.receive(frame.ack(100), all);
  assert.deepEqual([session.acked, session.room], [100, 100]);
});

Deno.test("what waits for the consumer still fills the window after a resume", () => {
  const session = openAcked({ window: 4096 });
  session.receive(frame.data(pattern(0, 4096)), none);
  session.attach(0, NOTHING);
  assert.equal(session.wire.length, 0);
  assert.throws(() => session.receive(frame.data(pattern(4096, 1)), none), { name: "FrameError" });
});

Deno.test("an ACK whose link was cut before it went is said again", () => {
  const session = openAcked({ window: 4096 });
  session.receive(frame.data(pattern(0, 4096)), all);
  assert.equal(summaryOf(session.wire), "ack 4096");
  session.attach(0, NOTHING);
  assert.equal(summaryOf(allOf(session)), "ack 4096");
});

Deno.test("a position is stale below what the peer has said before, and too large above what was sent", () => {
  for (const base of [0, 2 ** 32 - 50, 2 ** 33, 2 ** 52]) {
    const session = grown(base, 0);
    const check = (position: number) => session.assertPosition(position);
    session.send(pattern(0, 100));
    for (const right of [base, base + 1, base + 100]) check(right);
    assert.throws(() => check(base + 101), { name: "ScpError", code: 406 });
    assert.throws(() => check(base - 1), { name: "ScpError", code: 403 });
    allOf(session);
    session.receive(frame.ack(base + 40), all);
    assert.throws(() => check(base + 39), { code: 403 });
    check(base + 40);
    session.attach(base + 60, NOTHING);
    assert.throws(() => check(base + 59), { code: 403 });
    check(base + 60);
    session.finish();
    check(base + 101);
    assert.throws(() => check(base + 102), { code: 406 });
  }
});

Deno.test("a check that refuses has changed nothing", () => {
  const session = grown(1000, 500);
  session.send(pattern(0, 100));
  const { snapshot } = session;
  assert.throws(() => session.assertPosition(999));
  assert.throws(() => session.assertPosition(1101));
  assert.throws(() => session.useIndex(3));
  assert.deepEqual(session.snapshot, snapshot);
  assert.equal(summaryOf(allOf(session)), "data 100");
});

Deno.test("an index is taken once, and none before one that was used", () => {
  const session = openAcked();
  assert.throws(() => session.useIndex(0), { name: "ScpError", code: 403 });
  session.useIndex(5);
  for (const used of [0, 1, 4, 5]) assert.throws(() => session.useIndex(used), { code: 403 }, String(used));
  assert.equal(session.index, 5);
  session.useIndex(2 ** 32 - 1);
  assert.throws(() => session.useIndex(2 ** 32 - 1), { code: 403 });
  const client = openAcked();
  assert.deepEqual([client.nextIndex(), client.nextIndex(), client.nextIndex()], [1, 2, 3]);
  assert.equal(client.index, 3);
  assert.equal(AckedSession.restore(structuredClone(client.snapshot)).nextIndex(), 4);
});

Deno.test("more than 4 GiB each way: only the wire takes positions mod 2^32", () => {
  for (const base of [2 ** 32 - 100, 2 ** 32, 5 * 2 ** 32 - 100]) {
    const session = grown(base, base);
    session.receive(frame.data(pattern(0, 200)), all);
    session.send(pattern(0, 200));
    assert.equal(summaryOf(allOf(session)), `ack ${(base + 200) % 2 ** 32} data 200`);
    session.receive(frame.ack((base + 150) % 2 ** 32), all);
    assert.deepEqual([session.acked, session.sent, session.received], [base + 150, base + 200, base + 200]);
    session.attach(base + 170, NOTHING);
    const frames = framesOf(allOf(session));
    assert.deepEqual(frames[0], { type: "ack", number: (base + 200) % 2 ** 32 });
    assert.deepEqual(frames[1], { type: "data", bytes: new Uint8Array(pattern(170, 30)) });
    session.finish();
    session.receive(concat([frame.ack((base + 201) % 2 ** 32), frame.fin()]), all);
    session.consumeEnd();
    assert.deepEqual([session.isSentDone, session.isReceivedDone], [true, true]);
    assert.deepEqual([session.acked, session.consumed], [base + 201, base + 201]);
  }
});

Deno.test("a session that is restored has nothing to do any more with what was written down", () => {
  for (const dialect of ["plain", "goscon"] as const) {
    const session = openAcked({ dialect });
    session.receive(frame.data(pattern(0, 50)), none);
    session.send(pattern(0, 50));
    const snapshot: AckedSessionSnapshot = structuredClone(session.snapshot);
    const expected = structuredClone(snapshot);
    const restored = AckedSession.restore(snapshot);
    snapshot.outgoing.frames.fill(0);
    snapshot.incoming.waiting.fill(0);
    snapshot.ciphers?.forEach(({ state }) => state.fill(0));
    Object.assign(snapshot, { window: 1, peerWindow: 1, cacheSize: 1, secret: "9", id: 8, index: 9 });
    assert.deepEqual(restored.snapshot, expected);
    assert.equal(restored.id, 7);
    assert.equal(restored.dialect, dialect);
    // What was written down of it, the session itself does not follow.
    session.send(pattern(50, 50));
    assert.equal(expected.outgoing.frames.length, 53);
  }
});
