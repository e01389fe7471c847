import assert from "node:assert/strict";
import { ACK, MOST_SAID, PING, PONG, writeClose, writeMove, writeNumber } from "../../../lib/scp/v2/frame.ts";
import { frame } from "../../helpers/frames.ts";
import { toHex } from "../../helpers/vectors.ts";
import vectors from "../../testdata/scp2_vectors.json" with { type: "json" };

/** The golden frames, by their first word. */
const golden = Object.fromEntries(vectors.frames.map(([what, hex]) => [what!.split(" ")[0], hex]));

Deno.test("the golden control frames are written", () => {
  const written = (write: (bytes: Uint8Array) => number) => {
    const bytes = new Uint8Array(MOST_SAID);
    return toHex(bytes.subarray(7, write(bytes)));
  };
  assert.equal(written((bytes) => writeNumber(bytes, 7, ACK, 4294967301)), golden["ACK"]);
  assert.equal(written((bytes) => writeNumber(bytes, 7, PING, 7)), golden["PING"]);
  assert.equal(written((bytes) => writeNumber(bytes, 7, PONG, 7)), golden["PONG"]);
  assert.equal(written((bytes) => writeClose(bytes, 7, 3, "ended by an operator")), golden["CLOSE"]);
  assert.equal(written((bytes) => writeMove(bytes, 7, "a.example:1248")), golden["MOVE"]);
});

Deno.test("a number is written mod 2^32, up to 2^53 - 1", () => {
  const bytes = new Uint8Array(5);
  const some = [
    0,
    1,
    255,
    256,
    65535,
    65536,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 40 + 0x1234567,
    2 ** 53 - 1,
  ];
  for (const number of some) {
    assert.equal(writeNumber(bytes, 0, ACK, number), 5);
    assert.deepEqual(bytes, frame.ack(number), String(number));
  }
});

Deno.test("a text that is too long is cut between two characters", () => {
  const bytes = new Uint8Array(1024).fill(0xee);
  for (const [text, cut] of [["x".repeat(300), "x".repeat(255)], ["é".repeat(200), "é".repeat(127)]] as const) {
    assert.deepEqual(bytes.slice(3, writeClose(bytes, 3, 300, text)), frame.close(300, cut));
    assert.deepEqual(bytes.slice(0, writeMove(bytes, 0, text)), frame.move(cut));
  }
  const end = writeClose(bytes, writeMove(bytes, 15, "x".repeat(999)), 1, "y".repeat(999));
  assert.equal(end, MOST_SAID, "what is said at once has room for the longest texts");
});
