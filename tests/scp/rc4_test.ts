import assert from "node:assert/strict";
import { Rc4, rc4Key } from "../../lib/scp/rc4.ts";
import { toHex, u64, vectors } from "../helpers/vectors.ts";

Deno.test("rc4Key() is goscon's", () => {
  for (const { secret, key } of vectors.rc4) assert.equal(toHex(rc4Key(u64(secret))), key);
});

Deno.test("Rc4.xor() is RC4, and runs on from call to call, however the stream is cut", () => {
  for (const { secret, keystream_0_32, keystream_1000_1016 } of vectors.rc4) {
    for (const pieces of [[1016], Array(1016).fill(1), [1, 255, 0, 256, 257, 247]]) {
      const cipher = Rc4.pair(rc4Key(u64(secret)))[0];
      const stream = new Uint8Array(1016);
      let at = 0;
      for (const length of pieces) cipher.xor(stream.subarray(at, at += length));
      assert.equal(toHex(stream.subarray(0, 32)), keystream_0_32);
      assert.equal(toHex(stream.subarray(1000)), keystream_1000_1016);
    }
  }
});

Deno.test("Rc4.xor() gives the same for any place and length of the bytes in their buffer, by words or not", () => {
  const { secret, keystream_1000_1016 } = vectors.rc4[0]!;
  for (let offset = 0; offset < 4; offset++) {
    for (const length of [255, 256, 257, 258, 259, 1000]) {
      const cipher = Rc4.pair(rc4Key(u64(secret)))[0];
      const one = Rc4.pair(rc4Key(u64(secret)))[0];
      const [bytes, expected] = [new Uint8Array(offset + 1016), new Uint8Array(1016)];
      cipher.xor(bytes.subarray(offset, offset + length));
      cipher.xor(bytes.subarray(offset + length));
      for (let at = 0; at < 1016; at++) one.xor(expected.subarray(at, at + 1));
      assert.equal(toHex(bytes.subarray(offset)), toHex(expected));
      assert.equal(toHex(bytes.subarray(offset + 1000)), keystream_1000_1016);
    }
  }
});

Deno.test("Rc4 takes keys of other lengths (RFC 6229, key 0x0102030405)", () => {
  const stream = new Uint8Array(16);
  Rc4.pair(Uint8Array.of(1, 2, 3, 4, 5))[0].xor(stream);
  assert.equal(toHex(stream), "b2396305f03dc027ccc3524a0a1118a8");
});
