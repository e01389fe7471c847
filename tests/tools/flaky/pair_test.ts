import assert from "node:assert/strict";
import { MOST_DELAYED } from "../../../lib/tools/flaky/lane.ts";
import { type Fate, Pair, type ResettableLink } from "../../../lib/tools/flaky/pair.ts";
import { LINGER } from "../../../lib/link/link.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { ManualClock } from "../../helpers/manual_clock.ts";
import { ManualLink } from "../../helpers/manual_link.ts";
import { pattern } from "../../helpers/random.ts";
import { settled, turn } from "../../helpers/turns.ts";

/** A manual link whose `close` and `reset` end what is pending, as a socket's do. */
class ManualEnd extends ManualLink implements ResettableLink {
  resets = 0;

  reset(): void {
    this.resets++;
    this.close();
  }

  override read(buffer: Uint8Array): Promise<number | null> {
    return this.closed ? Promise.reject(new Error("closed")) : super.read(buffer);
  }

  override write(bytes: Uint8Array): Promise<number> {
    return this.closed ? Promise.reject(new Error("closed")) : super.write(bytes);
  }

  override close(): void {
    super.close();
    if (this.reading) this.bring(new Error("closed"));
    if (this.writing) this.take(new Error("closed"));
  }

  get got(): Uint8Array {
    return concat(this.written);
  }
}

/** A pair of manual links in a time of its own. */
function byHand(fate: Partial<Fate>, options: { autoWrite?: boolean } = {}) {
  const clock = new ManualClock();
  const [near, far] = [new ManualEnd(options), new ManualEnd(options)];
  const cuts: number[] = [];
  const pair = new Pair(near, far, {
    ...{ cutAfter: undefined, cutAfterBytes: undefined, rst: false, stall: 0, latency: 0, rate: undefined, clock },
    ...fate,
    onCut: (bytes) => cuts.push(bytes),
  });
  return {
    ...{ clock, near, far, cuts, pair },
    over: pair.run(),
    /** What `far` has got of what `near` brings at once. */
    send: async (bytes: Uint8Array) => {
      near.bring(bytes);
      await turn();
      return far.got.length;
    },
    async [Symbol.asyncDispose]() {
      pair.stop();
      await this.over;
      assert.equal(clock.pending, 0, "a timer was left");
    },
  };
}

Deno.test("latency delays each piece, in order, and pieces do not wait for each other", async () => {
  await using hand = byHand({ latency: 50 });
  const { clock, near, far, send } = hand;
  assert.equal(await send(pattern(0, 10)), 0);
  await clock.pass(20);
  assert.equal(await send(pattern(10, 5)), 0);
  await clock.pass(29);
  assert.equal(far.got.length, 0);
  await clock.pass(1);
  assert.equal(far.got.length, 10);
  near.bring(null);
  await clock.pass(20);
  assertSameBytes(far.got, pattern(0, 15));
  await clock.pass(29);
  assert.equal(far.writeClosed, false, "the end overtook the latency");
  await clock.pass(1);
  assert.equal(far.writeClosed, true);
});

Deno.test("latency is that of both ways", async () => {
  await using hand = byHand({ latency: 50 });
  hand.far.bring(pattern(0, 3));
  await hand.clock.pass(49);
  assert.equal(hand.near.got.length, 0);
  await hand.clock.pass(1);
  assertSameBytes(hand.near.got, pattern(0, 3));
});

Deno.test("at most 1 MiB and a piece is under way", async () => {
  await using hand = byHand({ latency: 1000 });
  const { clock, near, far } = hand;
  let sent = 0;
  for (; near.reading; await turn()) {
    const { wanted } = near;
    near.bring(pattern(sent, wanted));
    sent += wanted;
    assert(sent <= 2 * MOST_DELAYED, "it takes whatever comes");
  }
  assert(sent >= MOST_DELAYED, `only ${sent} bytes were taken`);
  assert(sent < MOST_DELAYED + 64 * 1024, `${sent} bytes were taken`);
  await clock.pass(1000);
  assertSameBytes(far.got, pattern(0, sent));
  assert.equal(near.reading, true);
});

Deno.test("without latency little is read that the other end does not take", async () => {
  await using hand = byHand({}, { autoWrite: false });
  const { near } = hand;
  let sent = 0;
  for (; near.reading; await turn()) {
    sent += near.wanted;
    near.bring(pattern(0, near.wanted));
    assert(sent < 64 * 1024, `${sent} bytes were taken`);
  }
  hand.far.take();
  await turn();
  assert.equal(near.reading, true);
});

Deno.test("rate lets a tenth of a second's worth through, and then so many bytes a second", async () => {
  await using hand = byHand({ rate: 1000 });
  const { clock, near, far, send } = hand;
  assert.equal(near.wanted, 100);
  assert.equal(await send(pattern(0, 100)), 100);
  assert.equal(await send(pattern(100, 50)), 100);
  assert.equal(near.reading, false, "it reads on, and would fill up");
  await clock.pass(49);
  assert.equal(far.got.length, 100);
  await clock.pass(1);
  assertSameBytes(far.got, pattern(0, 150));
  for (let at = 150; at < 1150; at += 100) {
    await send(pattern(at, 100));
    await clock.pass(100);
  }
  assert.equal(clock.now(), 1050);
  assertSameBytes(far.got, pattern(0, 1150));
  await clock.pass(60_000);
  assert.equal(await send(pattern(1150, 100)), 1250);
  assert.equal(await send(pattern(1250, 1)), 1250, "a pause saved up more than a tenth of a second");
  await clock.pass(1);
});

Deno.test("a stall carries nothing, either way, and then the cut ends both ways", async () => {
  await using hand = byHand({ cutAfter: 100, stall: 50 });
  const { clock, near, far, cuts } = hand;
  await clock.pass(99);
  assert.equal(await hand.send(pattern(0, 10)), 10);
  await clock.pass(1);
  near.bring(pattern(10, 10));
  far.bring(pattern(0, 10));
  await clock.pass(49);
  assert.deepEqual([far.got.length, near.got.length, near.reading, far.reading], [10, 0, false, false]);
  assert.deepEqual([near.writeClosed, far.writeClosed, near.closed, cuts], [false, false, false, []]);
  await clock.pass(1);
  assert.deepEqual([near.writeClosed, far.writeClosed, cuts], [true, true, [10]]);
  assert.deepEqual([far.got.length, near.got.length], [10, 0], "what came in the stall was carried");
});

Deno.test("after a cut what still comes is dropped, until the other ends have closed", async () => {
  await using hand = byHand({ cutAfter: 100 });
  const { clock, near, far, over } = hand;
  await clock.pass(100);
  near.bring(pattern(0, 10));
  await turn();
  assert.equal(far.got.length, 0);
  near.bring(null);
  await turn();
  assert.equal(near.closed, false, "it was closed while the far end had bytes to read");
  far.bring(null);
  await over;
  assert.deepEqual([near.closed, far.closed, near.resets], [true, true, 0]);
});

Deno.test("a link that breaks after the cut does not take the other one's end from it", async () => {
  await using hand = byHand({ cutAfter: 100 });
  const { clock, near, far, over } = hand;
  await clock.pass(100);
  near.bring(new Error("broken"));
  await turn();
  assert.deepEqual([far.closed, far.resets], [false, 0]);
  far.bring(null);
  await over;
  assert.deepEqual([far.closed, far.resets], [true, 0]);
});

Deno.test("after a cut it waits for the other ends no longer than LINGER", async () => {
  await using hand = byHand({ cutAfter: 100 });
  await hand.clock.pass(100 + LINGER - 1);
  assert.equal(await settled(hand.over), false);
  await hand.clock.pass(1);
  await hand.over;
  assert.deepEqual([hand.near.closed, hand.far.closed, hand.near.resets], [true, true, 0]);
});

Deno.test("a cut by a reset is one at once, of both links; what was delayed is lost", async () => {
  await using hand = byHand({ cutAfter: 100, rst: true, latency: 50, stall: 20 });
  await hand.clock.pass(60);
  await hand.send(pattern(0, 10));
  await hand.clock.pass(59);
  assert.equal(hand.near.resets, 0);
  await hand.clock.pass(1);
  await hand.over;
  assert.equal(hand.far.got.length, 0);
  assert(hand.near.resets > 0 && hand.far.resets > 0);
});

Deno.test("bytes are counted both ways together, and not one more is carried", async () => {
  await using hand = byHand({ cutAfterBytes: 100 });
  const { near, far, cuts } = hand;
  await hand.send(pattern(0, 60));
  far.bring(pattern(0, 39));
  await turn();
  assert.deepEqual([near.writeClosed, cuts], [false, []]);
  near.bring(pattern(60, 30));
  await turn();
  assert.deepEqual([near.writeClosed, far.writeClosed, cuts], [true, true, [100]]);
  assertSameBytes(far.got, pattern(0, 61));
});

Deno.test("a connection is cut once, when bytes and time both say so", async () => {
  await using hand = byHand({ cutAfterBytes: 10, cutAfter: 100, stall: 70 });
  await hand.clock.pass(50);
  await hand.send(pattern(0, 10));
  await hand.clock.pass(69);
  assert.deepEqual(hand.cuts, []);
  await hand.clock.pass(1);
  assert.deepEqual(hand.cuts, [10]);
  await hand.clock.pass(1000);
  assert.deepEqual(hand.cuts, [10]);
});

Deno.test("while the last bytes before a cut are written, nothing more is carried the other way", async () => {
  await using hand = byHand({ cutAfterBytes: 10 }, { autoWrite: false });
  const { near, far, cuts } = hand;
  near.bring(pattern(0, 10));
  await turn();
  far.bring(pattern(0, 5));
  await turn();
  assert.deepEqual([far.writing, near.writing, cuts], [true, false, []]);
  far.take();
  await turn();
  assert.deepEqual([near.writing, cuts], [false, [10]]);
});

Deno.test("a link that breaks resets the other one", async () => {
  await using hand = byHand({ latency: 50 });
  await hand.send(pattern(0, 10));
  hand.far.bring(new Error("broken"));
  await hand.over;
  assert(hand.near.resets > 0);
});

Deno.test("stop() ends a pair that is stalled, and one that is held up", async () => {
  for (const fate of [{ cutAfter: 10, stall: 1000 }, { rate: 10 }, { latency: 1000 }]) {
    await using hand = byHand(fate);
    hand.near.bring(pattern(0, 1));
    await hand.clock.pass(10);
    for (const end of [hand.near, hand.far]) if (end.reading) end.bring(pattern(0, 1));
    await turn();
    hand.pair.stop();
    await hand.over;
    assert.deepEqual([hand.near.closed, hand.far.closed], [true, true]);
  }
});
