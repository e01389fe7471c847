import assert from "node:assert/strict";
import {
  formatOffer,
  formatProof,
  formatTerms,
  goneProofText,
  KEY_INFO,
  parseAnswerProof,
  parseOffer,
  parseResumeProof,
  parseTerms,
  resumedProofText,
  resumeProofText,
  saltInput,
} from "../../../lib/scp/v2/mod.ts";
import { parseNewAnswer, parseRequest, parseResumeAnswer } from "../../../lib/scp/message.ts";
import { fromHex } from "../../helpers/frames.ts";
import { toHex } from "../../helpers/vectors.ts";
import golden from "../../testdata/scp2_vectors.json" with { type: "json" };

const base64 = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const [CLIENT, SERVER] = [base64(golden.client_public), base64(golden.server_public)];
const { subtle } = crypto;

/** `text` with the golden K, by the runtime's HMAC. */
async function macOf(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await subtle.importKey("raw", fromHex(golden.resume_key), algorithm, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", key, new TextEncoder().encode(text)));
}

/** The shared secret of a private key, given as 32 bytes with its public one, and another public one. */
async function secretOf(privateHex: string, own: Uint8Array, other: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const url = (bytes: Uint8Array) =>
    btoa(String.fromCharCode(...bytes)).replace(/=*$/, "").replaceAll("+", "-").replaceAll("/", "_");
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const point = { kty: "EC", crv: "P-256", x: url(own.subarray(1, 33)), y: url(own.subarray(33)) };
  const key = await subtle.importKey("jwk", { ...point, d: url(fromHex(privateHex)) }, curve, false, ["deriveBits"]);
  const peer = await subtle.importKey("raw", other, curve, false, []);
  return await subtle.deriveBits({ name: "ECDH", public: peer }, key, 256);
}

Deno.test("the golden offer and terms, both ways", () => {
  const request = golden.new_request_content;
  const parsed = parseRequest(request);
  assert(parsed.kind === "new" && parsed.flag === 2 && parsed.target === "game");
  assert.deepEqual(parseOffer(request, 2), { key: CLIENT, window: 262144 });
  assert.equal(formatOffer({ key: CLIENT, window: 262144 }), request.split("\n")[4]);
  const terms = { key: SERVER, window: 262144, ping: 15000, reuse: 30000 };
  assert.equal(parseNewAnswer(golden.new_answer_content).id, golden.resume.id);
  assert.deepEqual(parseTerms(golden.new_answer_content), terms);
  assert.equal(formatTerms(terms), golden.new_answer_content.split("\n")[2]);
});

Deno.test("the golden salt and key of resumes, from either side's private key", async () => {
  const input = saltInput(golden.new_request_content, golden.new_answer_content);
  const salt = await subtle.digest("SHA-256", input);
  assert.equal(toHex(new Uint8Array(salt)), golden.salt);
  const sides = [[golden.client_private, CLIENT, SERVER], [golden.server_private, SERVER, CLIENT]] as const;
  for (const [own, publicKey, other] of sides) {
    const secret = await secretOf(own, publicKey, other);
    assert.equal(toHex(new Uint8Array(secret)), golden.shared);
    const ikm = await subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
    const info = new TextEncoder().encode(KEY_INFO);
    const key = await subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, ikm, 256);
    assert.equal(toHex(new Uint8Array(key)), golden.resume_key);
  }
});

Deno.test("the salt is of both records, with their lengths, in that order", () => {
  assert.equal(toHex(saltInput("ab", "c")), "0002616200" + "0163");
  assert.equal(toHex(saltInput("", "")), "00000000");
  assert.equal(saltInput("x".repeat(300), "y").length, 305);
});

Deno.test("the golden resume request, both ways", async () => {
  const { id, index, received, mac_input, mac, request_content } = golden.resume;
  assert.equal(resumeProofText(id, index, Number(received)), mac_input);
  const proof = { value: Number(received), mac: await macOf(mac_input) };
  assert.deepEqual(proof.mac, base64(mac));
  assert.equal(formatProof(proof), request_content.split("\n")[4]);
  const request = parseRequest(request_content);
  assert(request.kind === "resume");
  assert.deepEqual([request.id, request.index, request.received], [id, index, 1]);
  assert.deepEqual(parseResumeProof(request_content, request.received), proof);
});

Deno.test("the golden answer to it, both ways", async () => {
  const { index, received, mac_input, answer_content } = golden.resumed;
  assert.equal(resumedProofText(index, Number(received)), mac_input);
  const proof = { value: Number(received), mac: await macOf(mac_input) };
  assert.equal(formatProof(proof), answer_content.split("\n")[2]);
  assert.deepEqual(parseAnswerProof(answer_content), proof);
  assert.deepEqual(parseResumeAnswer(answer_content), { received: 1, code: 200 });
});

Deno.test("the golden answer of what is gone, both ways", async () => {
  const { index, end, mac_input, answer_content } = golden.gone;
  assert.equal(goneProofText(index, end), mac_input);
  const proof = { value: end, mac: await macOf(mac_input) };
  assert.equal(formatProof(proof), answer_content.split("\n")[2]);
  assert.deepEqual(parseAnswerProof(answer_content), proof);
  assert.deepEqual(parseResumeAnswer(answer_content), { received: 0, code: 410 });
});
