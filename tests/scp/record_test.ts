import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeRecord, encodeRecord, MAX_RECORD } from "../../lib/scp/record.ts";
import { ScpError } from "../../lib/scp/error.ts";
import { concat } from "../helpers/bytes.ts";

Deno.test("encodeRecord() writes the length, big-endian, and the content", () => {
  assert.deepEqual([...encodeRecord("0\nab")], [0, 4, 0x30, 0x0a, 0x61, 0x62]);
  assert.deepEqual([...encodeRecord("")], [0, 0]);
  assert.deepEqual([...encodeRecord("x".repeat(300)).subarray(0, 3)], [1, 44, 0x78]);
});

Deno.test("decodeRecord() waits for the whole record, byte by byte, and leaves what follows", () => {
  const content = "42\n7\n65536\nZYIXcKnOU9k=";
  const record = encodeRecord(content);
  for (let n = 0; n < record.length; n++) assert.equal(decodeRecord(record.subarray(0, n)), undefined);
  assert.deepEqual(decodeRecord(record), { content, size: record.length });
  const followed = concat([record, Uint8Array.of(0, 1, 2)]);
  assert.deepEqual(decodeRecord(followed), { content, size: record.length });
});

Deno.test("decodeRecord() takes 1024 bytes of content, and refuses 1025 as soon as it has the length", () => {
  assert.equal(MAX_RECORD, 1024);
  assert.equal(decodeRecord(Uint8Array.of(0x04, 0x00)), undefined);
  assert.equal(decodeRecord(encodeRecord("x".repeat(1024)))?.content.length, 1024);
  assert.throws(() => decodeRecord(Uint8Array.of(0x04, 0x01)), { name: "ScpError", code: 400 });
  assert.throws(() => decodeRecord(Uint8Array.of(0xff, 0xff)), { name: "ScpError", code: 400 });
  assert.equal(decodeRecord(Uint8Array.of(0xff)), undefined);
});

Deno.test("decodeRecord() of anything gives a record, asks for more, or refuses", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
    try {
      const record = decodeRecord(bytes);
      assert(record === undefined || record.size === record.content.length + 2 && record.size <= bytes.length);
    } catch (error) {
      assert(error instanceof ScpError && error.code === 400);
    }
  }));
});
