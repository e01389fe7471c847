import assert from "node:assert/strict";
import { openAcked } from "../../helpers/acked_session.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { none } from "../../helpers/consumers.ts";
import { allOf, frame, streamOf } from "../../helpers/frames.ts";
import { pattern } from "../../helpers/random.ts";
import { toHex, u64, vectors } from "../../helpers/vectors.ts";

const NOTHING = new Uint8Array(0);

Deno.test("what DATA holds is ciphered as in version 1, position by position, and FIN takes none of it", () => {
  for (const { secret, keystream_0_32 } of vectors.rc4) {
    const session = openAcked({ secret: u64(secret), dialect: "goscon" });
    session.send(new Uint8Array(5));
    session.send(new Uint8Array(27));
    session.finish();
    assert.equal(toHex(streamOf(allOf(session))), keystream_0_32);
    const taken: Uint8Array[] = [];
    const eater = { take: (bytes: Uint8Array) => (taken.push(bytes.slice()), bytes.length) };
    session.receive(concat([frame.data(new Uint8Array(20)), frame.ping(1), frame.data(new Uint8Array(12))]), eater);
    assert.equal(toHex(concat(taken)), keystream_0_32);
  }
});

Deno.test("what waited is deciphered once, and what is sent again is ciphered once", () => {
  const { secret, keystream_0_32 } = vectors.rc4[0]!;
  const session = openAcked({ secret: u64(secret), dialect: "goscon" });
  session.receive(frame.data(new Uint8Array(20)), none);
  session.receive(frame.data(new Uint8Array(12)), none);
  const taken: Uint8Array[] = [];
  session.drain({ take: (bytes) => (taken.push(bytes.slice()), bytes.length) });
  assert.equal(toHex(concat(taken)), keystream_0_32);
  session.send(new Uint8Array(32));
  allOf(session);
  session.attach(10, NOTHING);
  assert.equal(toHex(allOf(session)), `0200000020010016${keystream_0_32.slice(20)}`);
});

Deno.test("in plain, DATA is clear", () => {
  const session = openAcked();
  session.send(pattern(0, 10));
  assertSameBytes(allOf(session), frame.data(pattern(0, 10)));
});
