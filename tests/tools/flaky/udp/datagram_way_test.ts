import assert from "node:assert/strict";
import {
  type Chance,
  DatagramWay,
  LONGEST_HOLD,
  LONGEST_QUEUE,
  MOST_UNDER_WAY,
  type WayOptions,
} from "../../../../lib/tools/flaky/udp/datagram_way.ts";
import { Random } from "../../../helpers/random.ts";

/** Chance that says, for each datagram, whether it is lost, doubled and held, and its delays. */
const NONE = [0.99, 0.99, 0.99, 0, 0];
const LOST = [0, ...NONE.slice(1)];
const DOUBLED = [0.99, 0, 0.99, 0.25, 0.75];
const HELD = [0.99, 0.99, 0, 0, 0];

function scripted(fates: number[][]): Chance {
  const numbers = fates.flat();
  return { next: () => numbers.shift() ?? assert.fail("more chance is asked for than five numbers for each") };
}

function wayOf(options: Partial<WayOptions>, chance: Chance): DatagramWay {
  return new DatagramWay(
    { ...{ loss: 0, duplicate: 0, reorder: 0, latency: 0, jitter: 0, rate: undefined }, ...options },
    chance,
  );
}

/** Puts datagrams of one byte, 0, 1 and so on, at those times. */
function put(way: DatagramWay, ...times: number[]): void {
  times.forEach((time, i) => way.put(Uint8Array.of(i), time));
}

/** All that comes out, each when it is due: its first byte, and when. */
function drain(way: DatagramWay): [number, number][] {
  const all: [number, number][] = [];
  while (way.due < Infinity) {
    const { due } = way;
    all.push([way.take(due)![0]!, due]);
  }
  return all;
}

Deno.test("without options all goes at once, in order", () => {
  const way = wayOf({}, new Random());
  put(way, 5, 5, 7);
  assert.deepEqual(drain(way), [[0, 5], [1, 5], [2, 7]]);
});

Deno.test("nothing goes before it is due, and what goes is a copy of what came", () => {
  const way = wayOf({ latency: 10 }, new Random());
  const datagram = Uint8Array.of(1, 2, 3);
  way.put(datagram, 0);
  datagram.fill(9);
  assert.equal(way.due, 10);
  assert.equal(way.take(9.99), undefined);
  assert.deepEqual(way.take(10), Uint8Array.of(1, 2, 3));
  assert.deepEqual([way.take(10), way.due], [undefined, Infinity]);
});

Deno.test("the share that chance falls below is lost, and only that", () => {
  const way = wayOf({ loss: 0.5 }, scripted([LOST, NONE, [0.5, ...NONE.slice(1)], [0.499, ...NONE.slice(1)]]));
  put(way, 0, 0, 0, 0);
  assert.deepEqual(drain(way), [[1, 0], [2, 0]]);
  assert.deepEqual(way.counts, { came: 4, lost: 2, doubled: 0, reordered: 0, overflowed: 0 });
});

Deno.test("a double has a jitter of its own", () => {
  const way = wayOf({ duplicate: 0.01, latency: 10, jitter: 100 }, scripted([DOUBLED, NONE]));
  put(way, 0, 30);
  assert.deepEqual(drain(way), [[0, 35], [1, 40], [0, 85]]);
  assert.equal(way.counts.doubled, 1);
});

Deno.test("jitter delays each by chance, so that they overtake each other", () => {
  const way = wayOf({ jitter: 20 }, scripted([[0.9, 0.9, 0.9, 0.5, 0], NONE, [0.9, 0.9, 0.9, 0.45, 0]]));
  put(way, 0, 1, 1);
  assert.deepEqual(drain(way), [[1, 1], [0, 10], [2, 10]]);
});

Deno.test("what is to be overtaken goes right after the next, late as that may be, and one at a time is held", () => {
  const way = wayOf({ reorder: 0.1, latency: 5 }, scripted([HELD, HELD, NONE, HELD, NONE]));
  put(way, 0, 40, 41, 50, 60);
  assert.deepEqual(drain(way), [[1, 45], [0, 45], [2, 46], [4, 65], [3, 65]]);
  assert.equal(way.counts.reordered, 2);
});

Deno.test("what is overtaken goes no earlier than by itself", () => {
  const way = wayOf({ reorder: 0.1, jitter: 20 }, scripted([[0.99, 0.99, 0, 0.5, 0], NONE]));
  put(way, 0, 1);
  assert.deepEqual(drain(way), [[1, 1], [0, 10]]);
});

Deno.test("what nothing overtakes goes alone, some time later, and then holds up nothing", () => {
  const way = wayOf({ reorder: 0.1, latency: 5 }, scripted([HELD, NONE]));
  way.put(Uint8Array.of(7), 0);
  assert.deepEqual(drain(way), [[7, 5 + LONGEST_HOLD]]);
  way.put(Uint8Array.of(8), 100);
  assert.deepEqual(drain(way), [[8, 105]]);
});

Deno.test("a datagram that is lost overtakes nothing", () => {
  const way = wayOf({ reorder: 0.1, loss: 0.1 }, scripted([HELD, LOST, NONE]));
  put(way, 0, 1, 2);
  assert.deepEqual(drain(way), [[2, 2], [0, 2]]);
});

Deno.test("a rate spaces datagrams by their length, and what would wait for too long is lost", () => {
  const way = wayOf({ rate: 1000, latency: 10 }, new Random());
  for (let i = 0; i < 5; i++) way.put(new Uint8Array(100).fill(i), 0);
  assert.deepEqual(drain(way), [[0, 110], [1, 210], [2, 310]]);
  assert.equal(way.counts.overflowed, 2);
  way.put(new Uint8Array(100).fill(8), 300 - LONGEST_QUEUE);
  way.put(new Uint8Array(100).fill(9), 1000);
  assert.deepEqual(drain(way), [[8, 410], [9, 1110]]);
});

Deno.test("no more than 1 MiB is under way, and then there is room again", () => {
  for (const length of [0, 1400]) {
    const way = wayOf({ latency: 1000 }, new Random());
    while (way.counts.overflowed === 0) way.put(new Uint8Array(length), 0);
    const kept = way.counts.came - 1;
    assert(kept * length <= MOST_UNDER_WAY + length && kept <= MOST_UNDER_WAY / 64 + 1, `${kept}`);
    assert(kept * (length + 64) > MOST_UNDER_WAY);
    way.take(1000);
    way.put(new Uint8Array(length), 0);
    assert.equal(way.counts.overflowed, 1);
  }
});

Deno.test("doubles take room too, and give it back", () => {
  const way = wayOf({ latency: 1000, duplicate: 1 }, new Random());
  for (let round = 0; round < 3; round++) {
    const before = way.counts.came;
    const overflowed = way.counts.overflowed;
    while (way.counts.overflowed === overflowed) way.put(new Uint8Array(1000), 0);
    const kept = way.counts.came - before - 1;
    assert.equal(kept, Math.floor(MOST_UNDER_WAY / 1064 / 2) + 1);
    while (way.take(1000));
  }
});

Deno.test("of many datagrams about that share is lost, doubled and held back, and the same again with the seed", () => {
  const random = new Random();
  const run = (seed: number, more: Partial<WayOptions> = {}) => {
    const way = wayOf({ loss: 0.05, duplicate: 0.02, reorder: 0.1, ...more }, new Random(seed));
    const got: number[] = [];
    const takeAll = (now: number) => {
      for (let datagram; (datagram = way.take(now));) got.push(datagram[0]! | datagram[1]! << 8);
    };
    for (let i = 0; i < 20_000; i++) {
      way.put(Uint8Array.of(i, i >> 8), i);
      takeAll(i);
    }
    takeAll(Infinity);
    return { counts: way.counts, got };
  };
  const { counts, got } = run(random.seed);
  const { lost, doubled, reordered } = counts;
  assert(Math.abs(lost - 1000) < 200, `${lost} lost, seed ${random.seed}`);
  assert(Math.abs(doubled - 380) < 150, `${doubled} doubled, seed ${random.seed}`);
  // One that comes while another is held back is not held back.
  assert(Math.abs(reordered - 1730) < 300, `${reordered} held back, seed ${random.seed}`);
  assert.deepEqual(run(random.seed).got, got);
  assert.notDeepEqual(run(random.seed ^ 1).got, got);
  // What is lost does not depend on what else is asked for.
  const others = run(random.seed, { duplicate: 0, reorder: 0, rate: 2 ** 20 });
  assert.deepEqual(new Set(others.got), new Set(got));
});
