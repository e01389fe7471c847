import assert from "node:assert/strict";
import fc from "fast-check";
import { ResendCache } from "../../lib/scp/resend_cache.ts";
import { pattern } from "../helpers/random.ts";

const held = (cache: ResendCache, position: number) => {
  if (!cache.holds(position)) return undefined;
  const bytes: number[] = [];
  for (let at = position; at < cache.end; at = position + bytes.length) bytes.push(...cache.from(at));
  return bytes;
};

Deno.test("a cache of which nothing was asked holds no memory", () => {
  const cache = new ResendCache(65536);
  assert.equal(cache.allocated, 0);
  assert.deepEqual(held(cache, 0), []);
  assert.equal(held(cache, 1), undefined);
});

Deno.test("memory grows as bytes come, and is never more than the capacity", () => {
  const cache = new ResendCache(10_000);
  cache.append(new Uint8Array(100));
  assert(cache.allocated <= 512, `${cache.allocated} for 100 bytes`);
  cache.append(new Uint8Array(3000));
  assert(cache.allocated <= 8192, `${cache.allocated} for 3100 bytes`);
  for (let i = 0; i < 100; i++) cache.append(new Uint8Array(999));
  assert.equal(cache.allocated, 10_000);
});

Deno.test("from() gives the bytes from a position, to the last one held and not beyond", () => {
  const cache = new ResendCache(4);
  cache.append(Uint8Array.of(1, 2, 3));
  assert.deepEqual(held(cache, 0), [1, 2, 3]);
  cache.append(Uint8Array.of(4, 5, 6));
  assert.deepEqual([cache.start, cache.end], [2, 6]);
  assert.deepEqual(held(cache, 2), [3, 4, 5, 6]);
  assert.deepEqual(held(cache, 5), [6]);
  assert.deepEqual(held(cache, 6), []);
  assert.equal(held(cache, 1), undefined);
  assert.equal(held(cache, 7), undefined);
});

Deno.test("append() of more than the capacity keeps the last bytes", () => {
  const cache = new ResendCache(4);
  cache.append(Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
  assert.deepEqual(held(cache, 3), [4, 5, 6, 7]);
  assert.equal(cache.end, 7);
});

Deno.test("append() copies: the caller's bytes may change", () => {
  const cache = new ResendCache(4);
  const bytes = Uint8Array.of(1, 2);
  cache.append(bytes);
  bytes.fill(9);
  assert.deepEqual(held(cache, 0), [1, 2]);
});

Deno.test("release() gives the memory back and forgets all bytes; positions go on", () => {
  const cache = new ResendCache(10);
  cache.append(Uint8Array.of(1, 2, 3));
  cache.release();
  assert.equal(cache.allocated, 0);
  assert.deepEqual([cache.start, cache.end], [3, 3]);
  assert.equal(held(cache, 2), undefined);
  assert.deepEqual(held(cache, 3), []);
  cache.append(Uint8Array.of(4, 5));
  assert.deepEqual(held(cache, 3), [4, 5]);
});

Deno.test("shrink() keeps the last bytes, and gives back what these do not need", () => {
  const cache = new ResendCache(10_000);
  cache.append(pattern(0, 12_000));
  const view = cache.from(cache.start);
  cache.shrink(600);
  assert.equal(cache.allocated, 1024);
  assert.deepEqual(held(cache, 11_400), [...pattern(11_400, 600)]);
  assert.equal(held(cache, 11_399), undefined);
  assert.deepEqual([...view.subarray(0, 10)], [...pattern(2000, 10)], "a view is no more what it was");
  cache.shrink(601);
  assert.deepEqual([cache.start, cache.allocated], [11_400, 1024]);
  cache.append(pattern(12_000, 1000));
  assert.deepEqual(held(cache, 11_400), [...pattern(11_400, 1600)]);
  cache.shrink(0);
  assert.deepEqual([cache.start, cache.allocated], [13_000, 0]);
});

Deno.test("a cache holds what a list of all bytes ever appended would", () => {
  const run = fc.record({
    capacity: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 200, max: 2000 })),
    steps: fc.array(
      fc.record({
        length: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1500 })),
        /** How many bytes are kept before. */
        kept: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 1500 })),
      }),
      { maxLength: 40 },
    ),
  });
  fc.assert(fc.property(run, ({ capacity, steps }) => {
    const cache = new ResendCache(capacity);
    let [start, end] = [0, 0];
    for (const { length, kept } of steps) {
      cache.shrink(kept);
      start = Math.max(start, end - kept);
      cache.append(pattern(end, length));
      end += length;
      start = Math.max(start, end - capacity);
      assert.deepEqual([cache.start, cache.end], [start, end]);
      assert(cache.allocated <= capacity);
      for (const position of [start, Math.floor((start + end) / 2), Math.max(start, end - 1), end]) {
        assert.deepEqual(held(cache, position), [...pattern(position, end - position)]);
      }
      assert.equal(cache.holds(start - 1), false);
      assert.equal(cache.holds(end + 1), false);
    }
  }));
});
