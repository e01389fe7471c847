import fc from "fast-check";
import type { Dialect } from "../../../lib/scp/mod.ts";
import assert from "node:assert/strict";
import { concat } from "../../helpers/bytes.ts";
import { summaryOf } from "../../helpers/frames.ts";
import { AckedPair, type AckedPairOptions } from "../../helpers/acked_pair.ts";

const AMOUNT = fc.oneof(
  fc.integer({ min: 0, max: 20 }),
  fc.integer({ min: 0, max: 3000 }),
  fc.integer({ min: 0, max: 70_000 }),
);
/** What may be done, and how often: links live long enough for something to happen over them. */
const WEIGHTS = {
  ...{ send: 18, flush: 14, arrive: 16, eat: 14, exchange: 8, ping: 5, look: 4, trim: 2, finish: 1, resume: 4 },
  ...{ cut: 1, notice: 1, request: 2, requestArrives: 4, answerArrives: 4, giveUp: 1, late: 1, restore: 1, move: 8 },
};
type What = keyof typeof WEIGHTS;

const step = fc.record({
  do: fc.oneof(...Object.entries(WEIGHTS).map(([what, weight]) => ({ weight, arbitrary: fc.constant(what as What) }))),
  end: fc.constantFrom(0, 1),
  amount: AMOUNT,
  piece: fc.constantFrom(1, 2, 7, 100, 4096, 65536),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function run(pair: AckedPair, { do: what, end: i, amount, piece }: Step): void {
  const end = pair.ends[i]!;
  const actions: Record<What, () => unknown> = {
    send: () => end.send(amount),
    flush: () => end.flush(amount),
    arrive: () => end.arrive(amount, piece),
    eat: () => end.eat(amount),
    exchange: () => pair.exchange(),
    finish: () => end.session.finish(),
    cut: () => pair.cut(amount),
    notice: () => end.detach(),
    request: () => pair.request(),
    requestArrives: () => pair.requestArrives(),
    answerArrives: () => pair.answerArrives(),
    giveUp: () => pair.giveUp(),
    late: () => pair.lateArrives(),
    restore: () => pair.restore(end, { isAway: true }),
    move: () => pair.restore(end, { isAway: false }),
    look: () => end.session.owesAck && end.session.sayAck(),
    ping: () => end.session.sayPing(),
    trim: () => end.session.trim(),
    resume: () => pair.resume(),
  };
  actions[what]();
  pair.check();
}

const WINDOW = fc.oneof(fc.constantFrom(4096, 65536, 16 * 2 ** 20), fc.integer({ min: 4096, max: 100_000 }));
const CACHE = fc.oneof(fc.constantFrom(65536, 2 ** 20), fc.integer({ min: 65536, max: 200_000 }));
const START = fc.oneof(fc.constantFrom(0, 2 ** 32, 2 ** 52), fc.integer({ min: 2 ** 32 - 100_000, max: 2 ** 32 }));
const OPTIONS = fc.record({
  dialect: fc.constantFrom<Dialect>("goscon", "plain"),
  windows: fc.tuple(WINDOW, WINDOW),
  caches: fc.tuple(CACHE, CACHE),
  capacity: fc.constantFrom(100, 1000, 65536, Infinity),
  starts: fc.tuple(START, START),
});
const MORE = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 150_000 }));

Deno.test("two ends lose, double and mix no byte over links that are cut anywhere, and all ends well, whatever is done", () => {
  fc.assert(
    fc.property(
      OPTIONS,
      fc.array(step, { maxLength: 150, size: "max" }),
      fc.tuple(MORE, MORE),
      (options, steps, more) => {
        const pair = new AckedPair(options);
        for (const each of steps) run(pair, each);
        pair.settle(more);
      },
    ),
    { numRuns: 150 },
  );
});

/** One of the default sizes, or of others. */
function pairOf(options: Partial<AckedPairOptions> = {}): AckedPair {
  const sizes = { windows: [262144, 262144], caches: [2 ** 20, 2 ** 20] } as const;
  return new AckedPair({ dialect: "plain", ...sizes, capacity: Infinity, starts: [0, 0], ...options });
}

Deno.test("windows and caches of any sizes, on either side, stop nobody: no clock is needed", () => {
  const sizes: [[number, number], [number, number]][] = [
    [[4096, 16 * 2 ** 20], [2 ** 20, 65536]],
    [[16 * 2 ** 20, 4096], [65536, 2 ** 20]],
    [[4096, 4096], [65536, 65536]],
    [[16 * 2 ** 20, 16 * 2 ** 20], [65536, 65536]],
    [[65537, 99_999], [70_001, 65_537]],
  ];
  for (const [windows, caches] of sizes) pairOf({ windows, caches }).settle([2_000_000, 1_500_000]);
});

Deno.test("a direction goes on while the other one's consumer takes nothing, for as long as that may be", () => {
  for (const stalled of [0, 1]) {
    const pair = pairOf({ windows: [65536, 65536] });
    const [lazy, eager] = [pair.ends[stalled]!, pair.ends[1 - stalled]!];
    while (eager.send(Infinity) > 0) pair.exchange();
    assert.equal(eager.sent, 65536);
    eager.eat(Infinity);
    for (let left = 1_000_000; left > 0;) {
      const n = lazy.send(left);
      assert(n > 0, "it is held up by what its own application does not take");
      left -= n;
      pair.exchange();
    }
    assert.deepEqual([eager.eaten, lazy.session.received, lazy.session.windowInUse], [1_000_000, 65536, 65536]);
    eager.session.sayPing();
    eager.flush(Infinity);
    lazy.arrive(Infinity, 1);
    assert.equal(lazy.session.isDue, true);
    pair.settle([100_000, 100_000]);
  }
});

/** Both ends have something to say, beside the stream too. */
function talking(): AckedPair {
  const pair = pairOf({ dialect: "goscon" });
  for (const end of pair.ends) {
    end.eat(6);
    end.send(10);
    end.session.sayPing();
    end.flush(Infinity);
  }
  for (const end of pair.ends) {
    end.arrive(Infinity, 65536);
    end.send(5);
    end.session.finish();
  }
  return pair;
}

Deno.test("a link that is cut at every byte, each way, and another at each byte of what is sent again", () => {
  const length = talking().proxy.flush(Infinity);
  assert.equal(length, 19, "an ACK, a PONG, DATA of 5 and a FIN");
  for (let first = 0; first <= length; first++) {
    for (let then = 0; then <= 40; then++) {
      const pair = talking();
      for (const end of pair.ends) end.flush(Infinity);
      pair.cut(first);
      for (const end of pair.ends) end.arrive(Infinity, 3);
      pair.resume();
      for (const end of pair.ends) end.flush(Infinity);
      pair.cut(then);
      for (const end of pair.ends) end.arrive(Infinity, 3);
      pair.settle([7, 7]);
    }
  }
});

Deno.test("an end goes on in another process, over the same link, after each byte that it has written or read", () => {
  for (let at = 0; at <= 24; at++) {
    const pair = talking();
    pair.proxy.session.sayPing();
    pair.proxy.flush(at);
    pair.restore(pair.proxy, { isAway: false });
    pair.proxy.flush(Infinity);
    pair.client.flush(Infinity);
    pair.proxy.arrive(at, 1);
    pair.restore(pair.proxy, { isAway: false });
    pair.exchange();
    assert.equal(pair.client.session.received, 16);
    for (const end of pair.ends) end.eat(Infinity);
    pair.exchange();
    assert.deepEqual(pair.ends.map(({ session }) => session.isReceivedDone), [true, true]);
    pair.settle([7, 7]);
  }
});

Deno.test("bytes sent one by one fill the smallest cache just when an ACK is due", () => {
  const pair = pairOf({ caches: [65536, 65536] });
  pair.proxy.eat(Infinity);
  for (let i = 0; i < 50_000; i++) {
    if (pair.client.send(1) === 0) {
      pair.exchange();
      assert.equal(pair.client.send(1), 1, `after ${i}`);
    }
  }
  pair.settle([0, 0]);
});

Deno.test("the end comes after 10,000 bytes in as many frames, in one piece", () => {
  const pair = pairOf();
  for (let i = 0; i < 10_000; i++) pair.client.send(1);
  pair.client.session.finish();
  pair.client.flush(Infinity);
  pair.proxy.eat(Infinity);
  pair.proxy.arrive(Infinity, Infinity);
  assert.deepEqual([pair.proxy.eaten, pair.proxy.hasSeenEnd], [10_000, true]);
  const { wire } = pair.proxy.session;
  assert.equal(summaryOf(concat([wire])), "ack 10001");
});
