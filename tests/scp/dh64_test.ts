import assert from "node:assert/strict";
import { isUsablePublicKey, publicKey, sharedSecret } from "../../lib/scp/dh64.ts";
import { u64, vectors } from "../helpers/vectors.ts";

Deno.test("publicKey() and sharedSecret() are goscon's", () => {
  for (const { private_a, private_b, public_a, public_b, secret } of vectors.dh64) {
    assert.equal(publicKey(u64(private_a)), u64(public_a));
    assert.equal(publicKey(u64(private_b)), u64(public_b));
    assert.equal(sharedSecret(u64(private_a), u64(public_b)), u64(secret));
    assert.equal(sharedSecret(u64(private_b), u64(public_a)), u64(secret));
  }
});

Deno.test("isUsablePublicKey() refuses what is 0 mod p alone", () => {
  assert.equal(isUsablePublicKey(0n), false);
  assert.equal(isUsablePublicKey(0xffffffffffffffc5n), false);
  assert.equal(isUsablePublicKey(1n), true);
  assert.equal(isUsablePublicKey(0xffffffffffffffc4n), true);
  assert.equal(isUsablePublicKey(0xffffffffffffffffn), true);
});
