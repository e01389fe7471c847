import assert from "node:assert/strict";
import { FrameError } from "../../../lib/scp/v2/frame.ts";
import { Incoming } from "../../../lib/scp/v2/incoming.ts";
import type { Consumer } from "../../../lib/scp/v2/mod.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { all, none } from "../../helpers/consumers.ts";
import { pattern } from "../../helpers/random.ts";

/** So many bytes come, of which so many are taken. */
function bring(incoming: Incoming, count: number, consumer: Consumer = all): void {
  incoming.expect(count, 0);
  incoming.deliver(pattern(incoming.received, count), consumer);
}

/** A consumer that takes so many bytes at all, and keeps them. */
function eater(most: number): Consumer & { eaten: () => Uint8Array } {
  const parts: Uint8Array[] = [];
  let left = most;
  const take = (bytes: Uint8Array<ArrayBuffer>) => {
    const n = Math.min(left, bytes.length);
    parts.push(bytes.slice(0, n));
    bytes.subarray(0, n).fill(0);
    left -= n;
    return n;
  };
  return { take, eaten: () => concat(parts) };
}

Deno.test("what is not taken waits, and is given first, in order", () => {
  for (const most of [0, 1, 99, 100, 101, 250, 300]) {
    const incoming = new Incoming(4096);
    const first = eater(most);
    bring(incoming, 100, first);
    bring(incoming, 200, first);
    assert.deepEqual([incoming.received, incoming.consumed, incoming.waiting], [300, most, 300 - most]);
    const second = eater(Infinity);
    incoming.drain(second);
    assertSameBytes(concat([first.eaten(), second.eaten()]), pattern(0, 300), `${most} at first`);
    assert.deepEqual([incoming.received, incoming.consumed, incoming.waiting], [300, 300, 0]);
  }
});

Deno.test("the consumer is not asked about nothing, nor past what it refused", () => {
  const incoming = new Incoming(4096);
  let asked = 0;
  const refuse = { take: () => (asked++, 0) };
  incoming.drain(refuse);
  assert.equal(asked, 0);
  bring(incoming, 1, refuse);
  assert.equal(asked, 1);
  bring(incoming, 10, refuse);
  assert.equal(asked, 2, "it is asked for the first ones again, and not for those behind them");
});

Deno.test("the window is filled to its last byte, and no further, whatever was received unseen", () => {
  const incoming = new Incoming(4096);
  incoming.expect(4096, 0);
  assert.throws(() => incoming.expect(4097, 0), FrameError);
  incoming.expect(4000, 96);
  assert.throws(() => incoming.expect(4000, 97), FrameError);
  bring(incoming, 4096, none);
  assert.throws(() => incoming.expect(1, 0), FrameError);
  assert.throws(() => incoming.finish(0), FrameError);
  assert.equal(incoming.allocated, 4096);
});

Deno.test("only what an ACK said makes room, not what was consumed", () => {
  const incoming = new Incoming(4096);
  bring(incoming, 4096);
  assert.throws(() => incoming.expect(1, 0), FrameError);
  assert.equal(incoming.sayAck(), 4096);
  incoming.expect(4096, 0);
  assert.throws(() => incoming.expect(4097, 0), FrameError);
});

Deno.test("an ACK is due at once from a quarter of the window on, and from 16,384 on", () => {
  for (const [window, due] of [[4096, 1024], [65536, 16384], [65532, 16383], [16 * 2 ** 20, 16384]] as const) {
    const incoming = new Incoming(window);
    assert.deepEqual([incoming.owesAck, incoming.isAckDue], [false, false]);
    bring(incoming, due - 1);
    assert.deepEqual([incoming.owesAck, incoming.isAckDue], [true, false]);
    bring(incoming, 1, none);
    assert.equal(incoming.isAckDue, false, "what waits is not consumed");
    incoming.drain(all);
    assert.equal(incoming.isAckDue, true);
    assert.equal(incoming.sayAck(), due);
    assert.deepEqual([incoming.owesAck, incoming.isAckDue], [false, false]);
    bring(incoming, due - 1);
    assert.equal(incoming.isAckDue, false, "it counts from the last ACK");
  }
});

Deno.test("an ACK that is wanted is due, though it says nothing new, once", () => {
  const incoming = new Incoming(4096);
  incoming.wantAck();
  assert.deepEqual([incoming.owesAck, incoming.isAckDue], [true, true]);
  assert.equal(incoming.sayAck(), 0);
  assert.deepEqual([incoming.owesAck, incoming.isAckDue], [false, false]);
});

Deno.test("the end takes a position, waits for what is before it, and its ACK is due at once", () => {
  const incoming = new Incoming(4096);
  assert.equal(incoming.isAtEnd, false);
  bring(incoming, 4095, none);
  incoming.finish(0);
  assert.deepEqual([incoming.received, incoming.isFinished, incoming.isAtEnd], [4096, true, false]);
  incoming.drain(eater(4094));
  assert.equal(incoming.isAtEnd, false);
  incoming.drain(all);
  incoming.sayAck();
  assert.deepEqual([incoming.isAtEnd, incoming.isDone, incoming.isAckDue], [true, false, false]);
  incoming.consumeEnd();
  assert.deepEqual([incoming.isAtEnd, incoming.isDone, incoming.isAckDue], [false, true, true]);
  assert.equal(incoming.sayAck(), 4096);
});

Deno.test("nothing of the stream comes after the end", () => {
  const incoming = new Incoming(4096);
  incoming.finish(0);
  assert.throws(() => incoming.expect(1, 0), FrameError);
  assert.throws(() => incoming.finish(0), FrameError);
  assert.equal(incoming.received, 1);
});

Deno.test("an end that comes with bytes before it has the position after them", () => {
  const incoming = new Incoming(4096);
  assert.throws(() => incoming.finish(4096), FrameError);
  incoming.expect(4095, 0);
  incoming.finish(4095);
  incoming.deliver(pattern(0, 4095), all);
  assert.deepEqual([incoming.received, incoming.consumed, incoming.isAtEnd], [4096, 4095, true]);
});

Deno.test("its memory is what waits, and is given back when asked", () => {
  const incoming = new Incoming(65536);
  bring(incoming, 65536);
  assert.equal(incoming.allocated, 0, "what is taken as it comes needs none");
  incoming.sayAck();
  bring(incoming, 40_000, none);
  assert.equal(incoming.allocated, 40_960);
  incoming.drain(eater(39_900));
  incoming.trim();
  assert.equal(incoming.allocated, 256);
  incoming.drain(all);
  incoming.trim();
  assert.equal(incoming.allocated, 0);
});

Deno.test("what is written down goes on the same, at any point, and is a copy", () => {
  const base = 2 ** 33;
  const snapshot = {
    received: base + 700,
    said: base + 100,
    waiting: pattern(0, 600),
    isFinished: false,
    isDone: false,
    isAckWanted: false,
  };
  const incoming = Incoming.restore(4096, snapshot);
  assert.deepEqual([incoming.received, incoming.consumed, incoming.owesAck], [base + 700, base + 100, false]);
  assert.deepEqual(incoming.snapshot, snapshot);
  incoming.expect(3496, 0);
  assert.throws(() => incoming.expect(3497, 0), FrameError);
  snapshot.waiting.fill(0);
  const eaten = eater(250);
  incoming.drain(eaten);
  incoming.finish(0);
  const again = Incoming.restore(4096, incoming.snapshot);
  assert.deepEqual(again.snapshot, incoming.snapshot);
  assert.deepEqual([again.received, again.consumed, again.isAtEnd], [base + 701, base + 350, false]);
  again.drain(eaten);
  const rest = eater(Infinity);
  again.drain(rest);
  assertSameBytes(concat([eaten.eaten(), rest.eaten()]), pattern(0, 600));
  again.consumeEnd();
  const done = Incoming.restore(4096, again.snapshot);
  assert.deepEqual([done.isDone, done.isAtEnd, done.consumed, done.isFinished], [true, false, base + 701, true]);
  assert.equal(done.isAckDue, true);
});

Deno.test("what waits round the corner of its ring is written down in order, and given at once", () => {
  const incoming = new Incoming(4096);
  bring(incoming, 200, none);
  incoming.drain(eater(150));
  bring(incoming, 190, none);
  assert.equal(incoming.allocated, 256);
  assertSameBytes(incoming.snapshot.waiting, pattern(150, 240));
  const eaten = eater(Infinity);
  incoming.drain(eaten);
  assertSameBytes(eaten.eaten(), pattern(150, 240));
});
