/**
 * Segments as they go over the wire (KCP), all numbers little-endian: conv 4 bytes, command 1, fragments that follow 1, window 2,
 * ts 4, sn 4, una 4, length 4, then that many bytes of data.
 *
 * Numbers modulo 2^32 (conv, ts, sn, una) are kept as signed integers of 32 bits: `(a + b) | 0` adds, and `(a - b) | 0` tells which
 * is the later one.
 */

/** Bytes before the data of a segment. */
export const HEADER = 24;
/** The longest datagram that is taken, as deployed peers have no room for a longer one. */
export const LONGEST_DATAGRAM = 1500;
/** The most data of a segment. */
export const LONGEST_DATA = LONGEST_DATAGRAM - HEADER;

/** Data. */
export const PUSH = 81;
/** Says which PUSH came: its sn and ts are given back. */
export const ACK = 82;
/** Asks for the window (WASK). */
export const ASK = 83;
/** Tells the window (WINS). */
export const TELL = 84;
export type Command = typeof PUSH | typeof ACK | typeof ASK | typeof TELL;

const LENGTH = 20;

/** What a datagram is: fit to be taken, or why not. Nothing of one that is not "ok" is taken. */
export type Verdict =
  | "ok"
  /** Shorter than the head of a segment. */
  | "short"
  /** Longer than any that KCP sends. */
  | "long"
  /** Of another conversation. */
  | "conv"
  /** Of none of the four commands. */
  | "command"
  /** A segment says that it is longer than what is left. */
  | "cut";

/** Looks at all segments of a datagram. What is left after the last one and shorter than a head is no fault. */
export function verdictOn(datagram: Uint8Array, conv: number): Verdict {
  if (datagram.length < HEADER) return "short";
  if (datagram.length > LONGEST_DATAGRAM) return "long";
  for (let at = 0; at + HEADER <= datagram.length; at += HEADER + lengthAt(datagram, at)) {
    if (convAt(datagram, at) !== (conv | 0)) return "conv";
    const command = commandAt(datagram, at);
    if (command < PUSH || command > TELL) return "command";
    if (lengthAt(datagram, at) > datagram.length - at - HEADER) return "cut";
  }
  return "ok";
}

/** The fields of the segment that begins at `at`, of a datagram that is "ok". */
export const convAt = (datagram: Uint8Array, at: number): number => read32(datagram, at);
export const commandAt = (datagram: Uint8Array, at: number): number => datagram[at + 4]!;
export const windowAt = (datagram: Uint8Array, at: number): number => datagram[at + 6]! | datagram[at + 7]! << 8;
export const tsAt = (datagram: Uint8Array, at: number): number => read32(datagram, at + 8);
export const snAt = (datagram: Uint8Array, at: number): number => read32(datagram, at + 12);
export const unaAt = (datagram: Uint8Array, at: number): number => read32(datagram, at + 16);
export const lengthAt = (datagram: Uint8Array, at: number): number => read32(datagram, at + LENGTH) >>> 0;

/** What is before the data. */
export interface Head {
  conv: number;
  command: Command;
  /** Segments that can be taken, to 65,535. */
  window: number;
  ts: number;
  sn: number;
  una: number;
  length: number;
}

/** Writes the head of a segment at `at`. The number of fragments that follow is 0: data are a stream. */
export function writeHead(into: Uint8Array, at: number, head: Readonly<Head>): void {
  write32(into, at, head.conv);
  into[at + 4] = head.command;
  into[at + 5] = 0;
  into[at + 6] = head.window;
  into[at + 7] = head.window >>> 8;
  write32(into, at + 8, head.ts);
  write32(into, at + 12, head.sn);
  write32(into, at + 16, head.una);
  write32(into, at + LENGTH, head.length);
}

function read32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24;
}

function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
