import assert from "node:assert/strict";
import { Rc4, rc4Key } from "../../lib/scp/rc4.ts";
import { toHex, u64, vectors } from "../helpers/vectors.ts";

Deno.test("rc4Key() is goscon's", () => {
  for (const { secret, key } of vectors.rc4) assert.equal(toHex(rc4Key(u64(secret))), key);
});

Deno.test("Rc4.xor() is RC4, and runs on from call to call, however the stream is cut", () => {
  for (const { secret, keystream_0_32, keystream_1000_1016 } of vectors.rc4) {
    for (const pieces of [[1016], Array(1016).fill(1), [1, 255, 0, 256, 257, 247]]) {
      const cipher = new Rc4(rc4Key(u64(secret)));
      const stream = new Uint8Array(1016);
      let at = 0;
      for (const length of pieces) cipher.xor(stream.subarray(at, at += length));
      assert.equal(toHex(stream.subarray(0, 32)), keystream_0_32);
      assert.equal(toHex(stream.subarray(1000)), keystream_1000_1016);
    }
  }
});

Deno.test("Rc4 takes keys of other lengths (RFC 6229, key 0x0102030405)", () => {
  const stream = new Uint8Array(16);
  new Rc4(Uint8Array.of(1, 2, 3, 4, 5)).xor(stream);
  assert.equal(toHex(stream), "b2396305f03dc027ccc3524a0a1118a8");
});
