import assert from "node:assert/strict";
import { ReadBuffer } from "../../lib/link/read_buffer.ts";

Deno.test("ReadBuffer is small until reads fill it, and then grows to the most that is allowed", () => {
  const buffer = new ReadBuffer(50_000);
  assert.equal(buffer.bytes.length, 256);
  const sizes = Array.from({ length: 5 }, () => {
    assert.equal(buffer.took(buffer.bytes.length), true);
    return buffer.bytes.length;
  });
  assert.deepEqual(sizes, [1024, 4096, 16_384, 50_000, 50_000]);
  assert.equal(buffer.took(49_999), false);
});

Deno.test("ReadBuffer shrinks after 16 small reads in a row", () => {
  const buffer = new ReadBuffer(50_000);
  for (let i = 0; i < 4; i++) buffer.took(buffer.bytes.length);
  for (let i = 0; i < 15; i++) buffer.took(10);
  buffer.took(40_000);
  for (let i = 0; i < 15; i++) buffer.took(10);
  assert.equal(buffer.bytes.length, 50_000);
  buffer.took(10);
  assert.equal(buffer.bytes.length, 256);
});

Deno.test("ReadBuffer is never larger than allowed", () => {
  const buffer = new ReadBuffer(100);
  assert.equal(buffer.bytes.length, 100);
  buffer.took(100);
  assert.equal(buffer.bytes.length, 100);
});
