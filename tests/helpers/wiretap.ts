import assert from "node:assert/strict";
import { assertSameBytes, concat } from "./bytes.ts";
import { framesOf } from "./frames.ts";

/** What one end has written over one link, read by other means than its peer's: it is as the protocol has it. */
export class Wiretap {
  readonly #written: Uint8Array[] = [];
  readonly #from: number;
  readonly #start: number;
  readonly #stream: Uint8Array | undefined;

  /** `from`: the position from which on it sends; `stream`: what it sends, from position `start` on, if it is in clear. */
  constructor(from: number, start: number, stream: Uint8Array | undefined) {
    this.#from = from;
    this.#start = start;
    this.#stream = stream;
  }

  write(bytes: Uint8Array): void {
    this.#written.push(bytes.slice());
  }

  /** Checks all of it; the last frame need not be whole. `limit`: the most positions from `from` on; `acked`: the ACK before. Gives the last. */
  check(limit: number, acked: number): number {
    let position = this.#from;
    let isFinished = false;
    for (const frame of framesOf(wholeOf(concat(this.#written)))) {
      if (frame.type === "data") {
        assert(!isFinished && frame.bytes.length <= 16384, "DATA after FIN, or too much at once");
        const at = position - this.#start;
        if (this.#stream) {
          assertSameBytes(frame.bytes, this.#stream.subarray(at, at + frame.bytes.length), `DATA at ${at}`);
        }
        position += frame.bytes.length;
      } else if (frame.type === "fin") {
        assert(!isFinished, "there are two ends");
        isFinished = true;
        position++;
      } else if (frame.type === "ack") {
        const more = (frame.number - acked % 2 ** 32 + 2 ** 32) % 2 ** 32;
        assert(more < 2 ** 31, `an ACK of ${frame.number} after one of ${acked}`);
        acked += more;
      }
    }
    assert(position <= limit, `${position} was written, where ${limit} was sent`);
    return acked;
  }
}

/** Without the last frame, if that is not whole. */
function wholeOf(bytes: Uint8Array): Uint8Array {
  let at = 0;
  for (;;) {
    const size = sizeOf(bytes.subarray(at));
    if (at + size > bytes.length || at === bytes.length) return bytes.subarray(0, at);
    at += size;
  }
}

/** As far as its first bytes tell. */
function sizeOf(bytes: Uint8Array): number {
  if (bytes[0] === 1) return bytes.length < 3 ? 3 : 3 + bytes[1]! * 256 + bytes[2]!;
  if (bytes[0] === 5) return 1;
  if (bytes[0] === 6) return bytes.length < 4 ? 4 : 4 + bytes[3]!;
  return bytes[0] === 7 ? bytes.length < 2 ? 2 : 2 + bytes[1]! : 5;
}
