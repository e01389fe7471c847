import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameError, FrameReader, type FrameSink, frameSize } from "../../../lib/scp/v2/frame.ts";
import { concat } from "../../helpers/bytes.ts";
import { frame, fromHex } from "../../helpers/frames.ts";
import { pattern } from "../../helpers/random.ts";
import golden from "../../testdata/scp2_vectors.json" with { type: "json" };

/** Writes down what it hears. */
class Ear implements FrameSink {
  readonly heard: string[] = [];
  onData = (count: number, before: number) => void this.heard.push(`data ${count} after ${before}`);
  onFin = (before: number) => void this.heard.push(`fin after ${before}`);
  onAck = (position: number) => void this.heard.push(`ack ${position}`);
  onPing = (number: number) => void this.heard.push(`ping ${number}`);
  onPong = (number: number) => void this.heard.push(`pong ${number}`);
  onClose = (code: number, reason: string) => void this.heard.push(`close ${code} ${reason}`);
  onMove = (url: string) => void this.heard.push(`move ${url}`);
}

/** What is heard when these bytes come in such pieces; positions before are of the stream, whatever the pieces. */
function hear(pieces: Uint8Array[]): { heard: string[]; stream: Uint8Array } {
  const [reader, ear, stream] = [new FrameReader(), new Ear(), [] as Uint8Array[]];
  let total = 0;
  for (const piece of pieces) {
    const from = ear.heard.length;
    const fresh = reader.read(piece.slice(), ear);
    for (let i = from; i < ear.heard.length; i++) {
      ear.heard[i] = ear.heard[i]!.replace(/after (\d+)$/, (_, before) => `after ${total + Number(before)}`);
    }
    total += fresh.length;
    stream.push(fresh);
  }
  return { heard: ear.heard, stream: concat(stream) };
}

const [DATA_, ACK_, PING_, PONG_, FIN_, CLOSE_, MOVE_, OTHER] = golden.frames.map(([, hex]) => fromHex(hex!));

Deno.test("the golden frames are read", () => {
  const all = concat([DATA_!, ACK_!, PING_!, PONG_!, OTHER!, FIN_!, MOVE_!, CLOSE_!]);
  const { heard, stream } = hear([all]);
  assert.equal(new TextDecoder().decode(stream), "hello");
  assert.deepEqual(heard, [
    ...["data 5 after 0", "ack 5", "ping 7", "pong 7", "fin after 5", "move a.example:1248"],
    "close 3 ended by an operator",
  ]);
});

/** One of each frame, with what is heard of it. */
const SEQUENCE: [Uint8Array, string | undefined][] = [
  [frame.data(pattern(0, 3)), "data 3 after 0"],
  [frame.ack(2 ** 32 - 2), "ack 4294967294"],
  [frame.other(128, 0), undefined],
  [frame.ping(0x01020304), "ping 16909060"],
  [frame.other(255, 2), undefined],
  [frame.data(pattern(3, 1)), "data 1 after 3"],
  [frame.pong(0), "pong 0"],
  [frame.move(""), "move "],
  [frame.move("wss://é.example/"), "move wss://é.example/"],
  [frame.fin(), "fin after 4"],
  [frame.close(0xabcd, "größer"), "close 43981 größer"],
];
const WHOLE = concat(SEQUENCE.map(([bytes]) => bytes));
const EXPECTED = SEQUENCE.map(([, heard]) => heard).filter((heard) => heard !== undefined);

Deno.test("frames are read whole, a byte at a time, in every cut in two and in three", () => {
  const check = (pieces: Uint8Array[], note: string) => {
    const { heard, stream } = hear(pieces);
    assert.deepEqual(heard, EXPECTED, note);
    assert.deepEqual(stream, pattern(0, 4), note);
  };
  check([WHOLE], "whole");
  check(Array.from(WHOLE, (byte) => Uint8Array.of(byte)), "a byte at a time");
  for (let at = 0; at <= WHOLE.length; at++) {
    check([WHOLE.subarray(0, at), WHOLE.subarray(at)], `cut at ${at}`);
    for (let to = at; to <= WHOLE.length; to++) {
      check([WHOLE.subarray(0, at), WHOLE.subarray(at, to), WHOLE.subarray(to)], `cut at ${at} and ${to}`);
    }
  }
});

Deno.test("nothing is heard of a frame that is not whole, and of its DATA what came", () => {
  for (const [bytes, heard] of SEQUENCE.filter(([bytes]) => bytes[0]! > 1 && bytes[0]! < 128)) {
    for (let n = 0; n < bytes.length; n++) assert.deepEqual(hear([bytes.subarray(0, n)]).heard, [], heard);
  }
  for (const [n, expected] of [[2, 0], [3, 0], [4, 1], [5, 2]]) {
    const { heard, stream } = hear([frame.data(pattern(0, 5)).subarray(0, n)]);
    assert.deepEqual([heard.length, stream.length], [n! < 3 ? 0 : 1, expected]);
  }
});

Deno.test("a DATA may have 65,535 bytes, and so may what is skipped, from type 128 to 255", () => {
  const most = pattern(5, 65535);
  const { heard, stream } = hear([concat([frame.data(most), frame.ping(1)])]);
  assert.deepEqual(heard, ["data 65535 after 0", "ping 1"]);
  assert.deepEqual(stream, most);
  for (let type = 128; type < 256; type++) {
    for (const length of type % 32 === 0 ? [0, 1, 255, 256, 65535] : [0, 3]) {
      const bytes = concat([frame.other(type, length), frame.ping(2)]);
      assert.deepEqual(hear([bytes]), { heard: ["ping 2"], stream: new Uint8Array() }, `${type} of ${length}`);
      assert.deepEqual(hear([bytes.subarray(0, 2), bytes.subarray(2)]).heard, ["ping 2"]);
    }
  }
});

Deno.test("any other type is refused at its first byte", () => {
  for (const type of [0, ...Array.from({ length: 120 }, (_, i) => 8 + i)]) {
    assert.throws(() => hear([Uint8Array.of(type)]), FrameError, String(type));
    assert.throws(() => hear([concat([frame.fin(), Uint8Array.of(type)])]), FrameError, String(type));
    assert.throws(() => frameSize([type], 0, 1), { name: "FrameError" });
  }
});

Deno.test("a DATA of no bytes is refused, in one piece and in two", () => {
  assert.throws(() => hear([Uint8Array.of(1, 0, 0)]), FrameError);
  assert.throws(() => hear([Uint8Array.of(1, 0), Uint8Array.of(0)]), FrameError);
});

Deno.test("texts of 0 and of 255 bytes, and what is no UTF-8", () => {
  const long = "é".repeat(127) + "x";
  for (const text of ["", "x", long, "\u{1F600}".repeat(63) + "abc"]) {
    for (const bytes of [frame.close(65535, text), frame.move(text)]) {
      const expected = bytes[0] === 6 ? `close 65535 ${text}` : `move ${text}`;
      assert.deepEqual(hear([bytes]).heard, [expected]);
      assert.deepEqual(hear(Array.from(bytes, (byte) => Uint8Array.of(byte))).heard, [expected]);
    }
  }
  assert.deepEqual(hear([frame.close(1, Uint8Array.of(0xff, 0x41))]).heard, ["close 1 \uFFFDA"]);
  assert.deepEqual(hear([frame.move(new Uint8Array(255).fill(0xc3))]).heard, [`move ${"\uFFFD".repeat(255)}`]);
});

Deno.test("after a CLOSE nothing is read, in the same piece or a later one", () => {
  const tail = concat([frame.data(pattern(0, 9)), frame.ping(1), Uint8Array.of(0)]);
  const before = concat([frame.data(pattern(0, 2)), frame.close(0, "")]);
  for (
    const pieces of [[concat([before, tail])], [before, tail], [
      before.subarray(0, 8),
      concat([before.subarray(8), tail]),
    ]]
  ) {
    const { heard, stream } = hear(pieces);
    assert.deepEqual([heard, stream.length], [["data 2 after 0", "close 0 "], 2]);
  }
});

Deno.test("reset() forgets the frame that is not whole, whichever it is", () => {
  for (const bytes of [frame.data(pattern(0, 5)), frame.ack(5), frame.close(1, "x"), frame.other(200, 4)]) {
    for (let n = 1; n < bytes.length; n++) {
      const [reader, ear] = [new FrameReader(), new Ear()];
      reader.read(bytes.slice(0, n), ear);
      ear.heard.length = 0;
      reader.reset();
      assert.equal(reader.read(frame.ping(9), ear).length, 0);
      assert.deepEqual(ear.heard, ["ping 9"]);
    }
  }
});

Deno.test("10,000 DATA of one byte in one piece are moved together", () => {
  const bytes = concat(Array.from(pattern(0, 10_000), (byte) => frame.data(Uint8Array.of(byte))));
  const { heard, stream } = hear([bytes]);
  assert.equal(heard.length, 10_000);
  assert.deepEqual(stream, pattern(0, 10_000));
});

Deno.test("whatever comes in whatever pieces, it is heard the same as whole, or refused", () => {
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...SEQUENCE.slice(0, 10).map(([bytes]) => bytes)) },
    fc.uint8Array({ maxLength: 8 }),
  );
  const outcome = (pieces: Uint8Array[]) => {
    try {
      return hear(pieces);
    } catch (error) {
      assert(error instanceof FrameError, String(error));
      return error.message;
    }
  };
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.array(fc.nat(200), { maxLength: 10 }), (pieces, cuts) => {
      const bytes = concat(pieces);
      const at = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
      assert.deepEqual(outcome(at.slice(1).map((to, i) => bytes.slice(at[i], to))), outcome([bytes]));
    }),
    { numRuns: 500 },
  );
});
