import { type Link, writeAll } from "../../../link/link.ts";
import { ACK, CLOSE, DATA, DATA_HEADER, FIN, PING, PONG, writeClose, writeNumber } from "../../../scp/v2/frame.ts";
import { Broken } from "../probe.ts";
import { within } from "../../../within.ts";

/** Milliseconds between bytes. */
const APART = 15;

/** A DATA with these bytes, as they go over the wire: fewer than 65536. */
export function dataFrame(sealed: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(DATA_HEADER + sealed.length);
  frame.set([DATA, sealed.length >> 8, sealed.length & 255]);
  frame.set(sealed, DATA_HEADER);
  return frame;
}

/** The number is taken mod 2^32. */
export function numberFrame(type: typeof ACK | typeof PING | typeof PONG, number: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(5);
  writeNumber(frame, 0, type, number);
  return frame;
}

export function finFrame(): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(FIN);
}

export function closeFrame(code: number, reason = ""): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(4 + 255);
  return frame.slice(0, writeClose(frame, 0, code, reason));
}

/** A frame that who does not know it skips. `type`: 128 to 255. */
export function skippedFrame(type: number, count: number): Uint8Array<ArrayBuffer> {
  const frame = dataFrame(new Uint8Array(count).fill(CLOSE));
  frame[0] = type;
  return frame;
}

/** Writes byte by byte, so slowly that the other end reads it so. Throws `Broken` when that closes. */
export async function trickle(link: Link, bytes: Uint8Array): Promise<void> {
  for (const [i, byte] of bytes.entries()) {
    await writeAll(link, Uint8Array.of(byte)).catch(() => {
      throw new Broken(`the connection was closed after ${i} of ${bytes.length} bytes`);
    });
    await within(APART, new Promise(() => {}));
  }
}
