import assert from "node:assert/strict";
import { createECDH } from "node:crypto";
import { OwnKey } from "../../../lib/client/v2/resume_key.ts";
import vectors from "../../testdata/scp2_vectors.json" with { type: "json" };

const bytes = (base64: string) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/** A private key of the vectors. */
async function ownKey(hex: string): Promise<OwnKey> {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(hex, "hex");
  const [x, y] = [ecdh.getPublicKey().subarray(1, 33), ecdh.getPublicKey().subarray(33)].map((b) =>
    b.toString("base64url")
  );
  const jwk = { kty: "EC", crv: "P-256", x: x!, y: y!, d: ecdh.getPrivateKey().toString("base64url") };
  const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
  return new OwnKey(key, new Uint8Array(ecdh.getPublicKey()));
}

Deno.test("the key of a session and its HMACs are those of the vectors, from either end", async () => {
  const ends = [[vectors.client_private, vectors.server_public], [
    vectors.server_private,
    vectors.client_public,
  ]] as const;
  for (const [own, peer] of ends) {
    const key = await (await ownKey(own)).derive(bytes(peer), vectors.new_request_content, vectors.new_answer_content);
    for (const { mac_input: text, mac } of [vectors.resume, vectors.resumed, vectors.gone]) {
      assert.deepEqual(await key.sign(text), bytes(mac));
      assert.equal(await key.verify(text, bytes(mac)), true);
      assert.equal(await key.verify(text + "1", bytes(mac)), false);
    }
  }
});

Deno.test("a key of another is refused that is no point of the curve", async () => {
  const own = await OwnKey.generate();
  assert.deepEqual([own.publicKey.length, own.publicKey[0]], [65, 4]);
  const wrong = own.publicKey.slice();
  wrong[64]! ^= 1;
  await assert.rejects(own.derive(wrong, "", ""));
});
