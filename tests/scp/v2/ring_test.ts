import assert from "node:assert/strict";
import fc from "fast-check";
import { Ring } from "../../../lib/scp/v2/ring.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { pattern } from "../../helpers/random.ts";

/** All there is, from an index on. */
function contentOf(ring: Ring, from = 0): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = from; at < ring.length;) {
    const part = ring.from(at);
    assert(part.length > 0, "nothing lies there");
    parts.push(part.slice());
    at += part.length;
  }
  return concat(parts);
}

Deno.test("a ring that holds nothing has no memory", () => {
  const ring = new Ring();
  assert.deepEqual([ring.length, ring.allocated, ring.from(0).length], [0, 0, 0]);
  ring.push(new Uint8Array(0));
  ring.drop(0);
  ring.trim();
  assert.deepEqual([ring.length, ring.allocated, ring.from(0).length], [0, 0, 0]);
});

/** Bytes, and the memory that they take. */
const SIZES = [[1, 256], [256, 256], [257, 512], [1025, 1280], [65536, 65536], [65537, 81920], [
  114_689,
  131072,
]] as const;

Deno.test("its memory is at most a quarter more than what it holds, from 256 on, and is given back when asked", () => {
  for (const [length, allocated] of SIZES) {
    const ring = new Ring();
    ring.push(pattern(0, length));
    assert.equal(ring.allocated, allocated, `of ${length}`);
    ring.drop(length - 1);
    assert.equal(ring.allocated, allocated);
    ring.trim();
    assert.equal(ring.allocated, 256);
    assert.deepEqual([...ring.from(0)], [...pattern(length - 1, 1)]);
    ring.drop(1);
    ring.trim();
    assert.equal(ring.allocated, 0);
    ring.pushByte(7);
    assert.deepEqual([...ring.from(0)], [7]);
  }
});

Deno.test("what is empty starts again at the beginning, so that what comes lies together", () => {
  const ring = new Ring();
  ring.push(pattern(0, 200));
  ring.drop(200);
  ring.push(pattern(0, 256));
  assert.equal(ring.from(0).length, 256);
});

Deno.test("its memory is the same as long as there is room in it, and no more than it needs", () => {
  const ring = new Ring();
  ring.push(pattern(0, 200));
  const { buffer } = ring.from(0);
  ring.push(pattern(200, 55));
  ring.pushByte(1);
  assert.equal(ring.allocated, 256);
  ring.trim();
  ring.drop(100);
  ring.push(pattern(0, 99));
  ring.push(pattern(0, 1));
  ring.trim();
  assert.equal(ring.from(0).buffer, buffer);
  ring.pushByte(1);
  assert.equal(ring.allocated, 512);
});

Deno.test("what was pushed may be overwritten", () => {
  const ring = new Ring();
  const bytes = pattern(0, 10);
  ring.push(bytes);
  bytes.fill(0);
  assertSameBytes(contentOf(ring), pattern(0, 10));
});

const step = fc.oneof(
  fc.record({ do: fc.constant("push" as const), n: fc.oneof(fc.nat(40), fc.nat(700)) }),
  fc.record({ do: fc.constant("byte" as const), n: fc.constant(1) }),
  fc.record({ do: fc.constant("drop" as const), n: fc.oneof(fc.nat(40), fc.nat(700)) }),
  fc.record({ do: fc.constant("trim" as const), n: fc.constant(0) }),
);

Deno.test("a ring is a queue, whatever is done with it", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ring = new Ring();
      let [from, to] = [0, 0];
      for (const { do: what, n } of steps) {
        if (what === "push") ring.push(pattern(to, n));
        if (what === "byte") ring.pushByte(pattern(to, 1)[0]!);
        if (what === "push" || what === "byte") to += n;
        if (what === "drop") {
          const dropped = Math.min(n, to - from);
          ring.drop(dropped);
          from += dropped;
        }
        if (what === "trim") {
          ring.trim();
          const least = to === from ? 0 : 256;
          assert(ring.allocated <= Math.max(least, 2 * (to - from - 1)), `${ring.allocated} bytes for ${to - from}`);
        }
        assert.equal(ring.length, to - from);
        assert(ring.allocated >= ring.length);
        assertSameBytes(contentOf(ring), pattern(from, to - from));
        const middle = (to - from) >> 1;
        assertSameBytes(contentOf(ring, middle), pattern(from + middle, to - from - middle));
        if (to > from) assert.equal(ring.at(middle), pattern(from + middle, 1)[0]);
      }
    }),
    { numRuns: 300 },
  );
});
