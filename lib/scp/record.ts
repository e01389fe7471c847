import { ScpError } from "./error.ts";

/** The longest content of a handshake record that is taken, in bytes: no message comes near it. */
export const MAX_RECORD = 1024;
/** The bytes of a record's length. */
const HEADER = 2;

/** A record as it goes over the wire: the length, big-endian, then the content, which is ASCII and at most 65535 long. */
export function encodeRecord(content: string): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(HEADER + content.length);
  new DataView(record.buffer).setUint16(0, content.length);
  for (let i = 0; i < content.length; i++) record[HEADER + i] = content.charCodeAt(i);
  return record;
}

/**
 * The record that `bytes` begins with: its content, one character a byte, and its `size` in `bytes`, after which other
 * things may follow. `undefined`: it is not whole yet. Throws `ScpError` 400 as soon as the length is too much.
 */
export function decodeRecord(bytes: Uint8Array): { content: string; size: number } | undefined {
  if (bytes.length < HEADER) return undefined;
  const length = bytes[0]! << 8 | bytes[1]!;
  if (length > MAX_RECORD) {
    throw new ScpError(400, `a handshake record of ${length} bytes, where at most ${MAX_RECORD} are taken`);
  }
  const size = HEADER + length;
  if (bytes.length < size) return undefined;
  return { content: String.fromCharCode(...bytes.subarray(HEADER, size)), size };
}
