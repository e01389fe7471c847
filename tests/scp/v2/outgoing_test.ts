import assert from "node:assert/strict";
import { Outgoing } from "../../../lib/scp/v2/outgoing.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { allOf, framesOf, streamOf, summaryOf } from "../../helpers/frames.ts";
import { attached, outgoingAt, send, take } from "../../helpers/outgoing.ts";
import { pattern } from "../../helpers/random.ts";

const NOTHING = new Uint8Array(0);

Deno.test("what is sent goes in DATA of at most 16,384 bytes, and the end is a FIN", () => {
  const outgoing = attached();
  send(outgoing, 3);
  send(outgoing, 16384);
  send(outgoing, 16385);
  outgoing.finish();
  const bytes = allOf(outgoing);
  assert.equal(summaryOf(bytes), "data 3 data 16384 data 16384 data 1 fin");
  assertSameBytes(streamOf(bytes), pattern(0, 32772));
  assert.deepEqual([outgoing.sent, outgoing.acked, outgoing.isEmpty], [32773, 0, true]);
});

Deno.test("what was given to be sent may be overwritten", () => {
  const outgoing = attached();
  const bytes = pattern(0, 100);
  outgoing.send(bytes);
  bytes.fill(0);
  assertSameBytes(streamOf(allOf(outgoing)), pattern(0, 100));
});

Deno.test("room is what the peer's window and the cache leave, and only an ACK gives it back", () => {
  const outgoing = attached({ peerWindow: 4096 });
  assert.equal(outgoing.room, 4096);
  send(outgoing, 4000);
  allOf(outgoing);
  assert.equal(outgoing.room, 96);
  send(outgoing, 96);
  assert.equal(outgoing.room, 0);
  outgoing.attach(4096, NOTHING);
  assert.deepEqual([outgoing.room, outgoing.acked], [0, 0], "what the peer has, it has not consumed");
  outgoing.acknowledged(1);
  assert.equal(outgoing.room, 1);
  outgoing.finish();
  assert.equal(outgoing.room, 0, "nothing comes after the end");
});

Deno.test("frames fill the cache with their headers, and room is never negative", () => {
  const outgoing = attached({ cacheSize: 65536, peerWindow: 2 ** 24 });
  let sends = 0;
  for (; outgoing.room > 0; sends++) send(outgoing, 1);
  assert.deepEqual([sends, outgoing.room], [16384, 0], "an ACK is due for so many");
  const full = attached({ cacheSize: 65536, peerWindow: 2 ** 24 });
  send(full, full.room);
  assert.deepEqual([full.sent, full.room], [65536, 0]);
  // Four headers too many are all.
  assert.equal(allOf(full).length, 65536 + 12);
  full.acknowledged(16384);
  assert.equal(full.room, 16384 - 9);
});

Deno.test("ACKs are taken mod 2^32, the same again is no fault, and of what was never sent none is taken", () => {
  for (const from of [0, 5, 2 ** 32 - 10, 2 ** 32, 3 * 2 ** 32 - 1, 2 ** 52]) {
    const outgoing = Outgoing.restore(65536, 65536, outgoingAt(from));
    outgoing.attach(from, NOTHING);
    send(outgoing, 100);
    allOf(outgoing);
    for (const wrong of [from + 101, from - 1, from + 2 ** 31]) {
      const onWire = ((wrong % 2 ** 32) + 2 ** 32) % 2 ** 32;
      assert.throws(() => outgoing.acknowledged(onWire), { name: "FrameError" }, `${wrong}`);
    }
    assert.equal(outgoing.acked, from);
    for (const position of [from, from + 40, from + 40, from + 100, from + 100]) {
      outgoing.acknowledged(position % 2 ** 32);
      assert.equal(outgoing.acked, position);
    }
    assert.throws(() => outgoing.acknowledged((from + 99) % 2 ** 32), { name: "FrameError" }, "it goes back");
  }
});

Deno.test("only what is acknowledged whole, and was taken, is forgotten", () => {
  for (
    const [taken, acked, left] of [[26, 10, 13], [26, 9, 26], [26, 20, 0], [25, 20, 13], [12, 20, 26], [13, 20, 13]]
  ) {
    const outgoing = attached({ cacheSize: 65536, peerWindow: 2 ** 20 });
    for (let i = 0; i < 2; i++) send(outgoing, 10);
    take(outgoing, taken!);
    outgoing.acknowledged(acked!);
    assert.equal(65536 - outgoing.room, left, `${taken}, ${acked}`);
  }
});

Deno.test("what is acknowledged needs no memory, as soon as its frame is whole", () => {
  const outgoing = attached({ cacheSize: 2 ** 20, peerWindow: 2 ** 20 });
  assert.equal(outgoing.allocated, 0);
  send(outgoing, 300_000);
  allOf(outgoing);
  assert.equal(outgoing.allocated, 327_680);
  outgoing.acknowledged(300_000 - 10);
  outgoing.trim();
  assert.equal(outgoing.allocated, 5120, "one frame of 5,088 bytes is left");
  outgoing.acknowledged(300_000);
  outgoing.trim();
  assert.equal(outgoing.allocated, 0);
});

Deno.test("a peer that acknowledges before the link has said that it took the bytes leaves nothing behind", () => {
  const outgoing = attached({ peerWindow: 2 ** 20 });
  send(outgoing, outgoing.room);
  outgoing.wrote(10);
  const wire = outgoing.wire.slice();
  outgoing.acknowledged(65536);
  assertSameBytes(outgoing.wire, wire);
  outgoing.wrote(wire.length);
  assert.equal(outgoing.room, 65536, "or nothing could ever be sent again");
  outgoing.trim();
  assert.equal(outgoing.allocated, 0);
});

Deno.test("FIN needs a position, and waits for an ACK that gives one", () => {
  const outgoing = attached({ peerWindow: 4096 });
  send(outgoing, 4096);
  outgoing.finish();
  outgoing.finish();
  assert.deepEqual([outgoing.isFinished, outgoing.sent], [true, 4096]);
  assert.equal(summaryOf(allOf(outgoing)), "data 4096");
  outgoing.attach(4096, NOTHING);
  assert.equal(outgoing.isEmpty, true, "received is not consumed");
  outgoing.acknowledged(0);
  assert.equal(outgoing.isEmpty, true);
  outgoing.acknowledged(1);
  assert.deepEqual([outgoing.isEmpty, summaryOf(allOf(outgoing)), outgoing.sent], [false, "fin", 4097]);
  outgoing.acknowledged(4096);
  assert.equal(outgoing.isDone, false);
  outgoing.acknowledged(4097);
  assert.equal(outgoing.isDone, true);
});

Deno.test("with one position left FIN goes at once", () => {
  const outgoing = attached({ peerWindow: 4096 });
  send(outgoing, 4095);
  outgoing.finish();
  assert.equal(summaryOf(allOf(outgoing)), "data 4095 fin");
});

Deno.test("an ACK never goes after a later one, wherever the link stops taking", () => {
  for (let taken = 0; taken <= 12; taken++) {
    const outgoing = attached();
    outgoing.sayAck(100);
    send(outgoing, 3);
    send(outgoing, 4);
    const first = take(outgoing, taken);
    outgoing.sayAck(200);
    const bytes = concat([first, allOf(outgoing)]);
    const acks = framesOf(bytes).flatMap((frame) => frame.type === "ack" ? [frame.number] : []);
    assert.deepEqual(acks, [100, 200], `${taken} bytes were taken before the second`);
    assertSameBytes(streamOf(bytes), pattern(0, 7));
  }
});
