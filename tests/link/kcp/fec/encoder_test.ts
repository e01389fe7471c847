import assert from "node:assert/strict";
import { FecEncoder } from "../../../../lib/link/kcp/fec/encoder.ts";
import { ReedSolomon } from "../../../../lib/link/kcp/fec/reed_solomon.ts";
import { concat } from "../../../helpers/bytes.ts";
import { encodeAll } from "../../../helpers/fec.ts";
import { pattern } from "../../../helpers/random.ts";

const THREE_ONE = new ReedSolomon(3, 1);
const headers = (datagrams: Uint8Array[]) => datagrams.map((datagram) => datagram.subarray(0, 6).toHex());

Deno.test("a datagram has its number, its type, its size and its segments; parity is as long as the longest", () => {
  const all = [[1], [2, 3], [4]].map((bytes) => Uint8Array.from(bytes));
  assert.deepEqual(encodeAll(new FecEncoder(THREE_ONE), all).map((datagram) => datagram.toHex()), [
    "00000000" + "f100" + "0300" + "01",
    "01000000" + "f100" + "0400" + "0203",
    "02000000" + "f100" + "0300" + "04",
    "03000000" + "f200" + "0400" + "0703",
  ]);
});

Deno.test("parity comes with the last data of a group, however many were sent before", () => {
  const encoder = new FecEncoder(new ReedSolomon(3, 2));
  const counts = [...concat([pattern(0, 7)])].map((byte) => encodeAll(encoder, [Uint8Array.of(byte)]).length);
  assert.deepEqual(counts, [1, 1, 3, 1, 1, 3, 1]);
});

Deno.test("where parity is left out, numbers go on as if it had been sent", () => {
  const encoder = new FecEncoder(new ReedSolomon(2, 2));
  const sent = encodeAll(encoder, [pattern(0, 30), pattern(30, 20)], false);
  assert.deepEqual(headers([...sent, ...encodeAll(encoder, [pattern(50, 9), pattern(59, 5)])]), [
    ...["00000000f100", "01000000f100"],
    ...["04000000f100", "05000000f100", "06000000f200", "07000000f200"],
  ]);
});

Deno.test("parity that was left out leaves nothing in the next group's", () => {
  const [first, second] = [[pattern(0, 40), pattern(40, 40)], [pattern(80, 20), pattern(100, 10)]];
  const [code, size] = [new ReedSolomon(2, 1), 3];
  const encoder = new FecEncoder(code);
  encodeAll(encoder, first, false);
  assert.deepEqual(encodeAll(encoder, second), encodeAll(new FecEncoder(code, size), second));
});

Deno.test("numbers begin again at the last start of a group below 2^32 - 1, with parity and without", () => {
  // floor(0xffffffff / 7) * 7 = 0xfffffffc, and the group before it starts at 0xfffffff5.
  const code = new ReedSolomon(5, 2);
  for (const withParity of [true, false]) {
    const encoder = new FecEncoder(code, 0xfffffff5);
    const all = Array.from({ length: 6 }, (_, i) => pattern(i, 10));
    const numbers = headers(encodeAll(encoder, all, withParity)).map((header) => header.slice(0, 8));
    assert.deepEqual(numbers, [
      ...["f5ffffff", "f6ffffff", "f7ffffff", "f8ffffff", "f9ffffff"],
      ...(withParity ? ["faffffff", "fbffffff"] : []),
      "00000000",
    ]);
  }
});

Deno.test("segments too long for a datagram are refused, and the next ones go as if nothing had been", () => {
  const encoder = new FecEncoder(THREE_ONE);
  assert.throws(() => encodeAll(encoder, [new Uint8Array(1493)]), RangeError);
  assert.equal(encodeAll(encoder, [new Uint8Array(1492)])[0]!.length, 1500);
  assert.deepEqual(headers(encodeAll(encoder, [pattern(0, 5)])), ["01000000f100"]);
});
