/** The bytes before what a code covers: seqid, u32, and type, u16, in little endian. */
export const FEC_HEADER = 6;
/** The bytes of SIZE, u16 in little endian, with which what is covered begins: itself and the segments. */
export const SIZE_LENGTH = 2;
/** By so much is a datagram with FEC longer than its segments. */
export const FEC_OVERHEAD = FEC_HEADER + SIZE_LENGTH;
/** The longest datagram that kcp-go takes. */
export const LONGEST_DATAGRAM = 1500;

/** The types. Segments have a command, 0x51 to 0x54, in the place of the first byte: they cannot be taken for these. */
export const DATA = 0x00f1;
export const PARITY = 0x00f2;
const OUT_OF_BAND = 0x00f3;

/** What a datagram is; "plain": it has no header of FEC. */
export type FecKind = "data" | "parity" | "out of band" | "plain";

/** What a datagram is, by its bytes alone: a peer may send some with FEC and some without. */
export function kindOf(datagram: Uint8Array): FecKind {
  if (datagram.length < FEC_HEADER) return "plain";
  const type = datagram[4]! | datagram[5]! << 8;
  if (type === DATA) return "data";
  if (type === PARITY) return "parity";
  return type === OUT_OF_BAND ? "out of band" : "plain";
}

/** The number of a datagram that is not plain. */
export function seqidOf(datagram: Uint8Array): number {
  return (datagram[0]! | datagram[1]! << 8 | datagram[2]! << 16 | datagram[3]! << 24) >>> 0;
}

/** Writes the number and the type into the first bytes. */
export function writeHeader(datagram: Uint8Array, seqid: number, type: typeof DATA | typeof PARITY): void {
  for (let i = 0; i < 4; i++) datagram[i] = seqid >>> 8 * i;
  datagram[4] = type;
  datagram[5] = type >>> 8;
}

/** Writes SIZE before so many bytes of segments. */
export function writeSize(covered: Uint8Array, segments: number): void {
  const size = SIZE_LENGTH + segments;
  covered[0] = size;
  covered[1] = size >>> 8;
}

/** The segments in what a code covers: a view of it, and `undefined` when there are none, or SIZE cannot be. */
export function segmentsOf(covered: Uint8Array): Uint8Array | undefined {
  if (covered.length < SIZE_LENGTH) return undefined;
  const size = covered[0]! | covered[1]! << 8;
  return size <= SIZE_LENGTH || size > covered.length ? undefined : covered.subarray(SIZE_LENGTH, size);
}

/** At this number, which no datagram has, numbers begin at 0 again: the last one below 2^32 where a group of so many does. */
export function endOfSeqids(group: number): number {
  return Math.floor(0xffffffff / group) * group;
}
