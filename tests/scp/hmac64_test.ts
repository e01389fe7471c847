import assert from "node:assert/strict";
import { hashkey } from "../../lib/scp/hashkey.ts";
import { hmac64, hmac64Md5, isEqual64 } from "../../lib/scp/hmac64.ts";
import { u64, vectors } from "../helpers/vectors.ts";

Deno.test("hashkey() is goscon's", () => {
  for (const { text, hash } of vectors.hashkey) assert.equal(hashkey(new TextEncoder().encode(text)), u64(hash));
});

Deno.test("hmac64Md5() is goscon's", () => {
  for (const { x, y, hmac } of vectors.hmac64_md5) assert.equal(hmac64Md5(u64(x), u64(y)), u64(hmac));
});

Deno.test("hmac64() is skynet's", () => {
  for (const { x, y, hmac } of vectors.hmac64) assert.equal(hmac64(u64(x), u64(y)), u64(hmac));
});

Deno.test("isEqual64() tells a difference in any single bit", () => {
  const value = 0x0123456789abcdefn;
  assert.equal(isEqual64(value, value), true);
  for (let bit = 0n; bit < 64n; bit++) assert.equal(isEqual64(value, value ^ 1n << bit), false, `bit ${bit}`);
});
