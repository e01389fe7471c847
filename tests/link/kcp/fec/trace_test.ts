import assert from "node:assert/strict";
import { encodeAll, fecPair } from "../../../helpers/fec.ts";

/** What a client of kcp-go and a server of it sent each other, with 3 data and 1 parity: `[ms, who, datagram in hex]`. */
const TRACE: [number, string, string][] = JSON.parse(
  Deno.readTextFileSync(new URL("../../../testdata/kcp/trace_fec_3_1.json", import.meta.url)),
);
const DATA = "f100";

/** The datagrams of each end of each session, in their order: a number 0 begins a session. */
function streams(): Uint8Array[][] {
  const all: Uint8Array[][] = [];
  const current = new Map<string, Uint8Array[]>();
  const oldest = new Map<string, Uint8Array[]>();
  for (const [, who, hex] of TRACE) {
    const datagram = Uint8Array.fromHex(hex);
    const number = new DataView(datagram.buffer).getUint32(0, true);
    if (number === 0) {
      const stream: Uint8Array[] = [];
      all.push(stream);
      if (current.has(who)) oldest.set(who, current.get(who)!);
      current.set(who, stream);
    }
    const streams = [current.get(who)!, oldest.get(who)];
    streams.find((stream) => stream && stream.length === number)!.push(datagram);
  }
  return all;
}

const isData = (datagram: Uint8Array) => datagram.subarray(4, 6).toHex() === DATA;
const segmentsOf = (datagram: Uint8Array) => datagram.subarray(8);

Deno.test("the trace has four ends of sessions, and most datagrams of it are in whole groups", () => {
  const lengths = streams().map((stream) => stream.length);
  assert.equal(lengths.length, 4);
  assert.equal(lengths.reduce((sum, length) => sum + length), TRACE.length);
  assert(Math.max(...lengths) >= 24);
});

Deno.test("of the segments of the trace the encoder makes the datagrams of the trace, byte for byte", () => {
  for (const stream of streams()) {
    const made = encodeAll(fecPair(3, 1).encoder, stream.filter(isData).map(segmentsOf));
    assert.deepEqual(made.map((datagram) => datagram.toHex()), stream.map((datagram) => datagram.toHex()));
  }
});

Deno.test("whichever datagram of each whole group of the trace is lost, all data arrive", () => {
  for (const stream of streams()) {
    for (let lost = 0; lost < 4; lost++) {
      const { input, decoder } = fecPair(3, 1);
      const whole = stream.slice(0, stream.length - stream.length % 4);
      const got = whole.filter((_, i) => i % 4 !== lost).flatMap((datagram) => input(datagram).deliveries);
      const expected = whole.filter(isData).map((datagram) => segmentsOf(datagram).toHex());
      assert.deepEqual(got.map(({ segments }) => segments.toHex()).toSorted(), expected.toSorted());
      assert.equal(decoder.rebuilt, lost === 3 ? 0 : whole.length / 4);
      assert.equal(got.filter(({ isRegular }) => !isRegular).length, decoder.rebuilt);
    }
  }
});
