import assert from "node:assert/strict";
import { Random } from "../lib/random.ts";

Deno.test("a seed repeats its numbers, without one they differ, and seeds that are alike begin unlike", () => {
  const numbers = (random: Random) => Array.from({ length: 100 }, () => random.next());
  assert.deepEqual(numbers(new Random(5)), numbers(new Random(5)));
  assert.notEqual(new Random().seed, new Random().seed);
  for (const seed of [0, 1, 2 ** 32 - 1]) {
    const drawn = numbers(new Random(seed));
    assert(drawn.every((number) => number >= 0 && number < 1));
    assert.equal(new Set(drawn).size, 100);
  }
  const first = Array.from({ length: 40 }, (_, seed) => new Random(seed).next());
  for (const [from, to] of [[0, 0.25], [0.25, 0.5], [0.5, 0.75], [0.75, 1]] as const) {
    assert(first.some((number) => number >= from && number < to), `none of ${first} is between ${from} and ${to}`);
  }
});

Deno.test("int() gives both bounds and all between, and nothing else", () => {
  const random = new Random(1);
  const drawn = new Set(Array.from({ length: 500 }, () => random.int(3, 6)));
  assert.deepEqual([...drawn].toSorted(), [3, 4, 5, 6]);
});
