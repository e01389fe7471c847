/** The largest integer that stands in its field itself; a greater one stands among the data. */
const MOST_INLINE = 0x7ffe;
const GROUP = 8;
const MOST_GROUPS = 256;

function u16(...values: number[]): number[] {
  return values.flatMap((value) => [value & 255, value >> 8]);
}

/** A value among the data: its length, 4 bytes little-endian, then its bytes. */
function block(bytes: readonly number[]): number[] {
  return [...u16(bytes.length & 0xffff, bytes.length >>> 16), ...bytes];
}

/**
 * The sproto package that tells a skynet backend who its client is: a header with the message type and user data 0, then a
 * message with the two addresses; packed, after its length in 2 bytes, big-endian (protocol: Telling the backend).
 */
export function sprotoPackage(type: number, remoteAddr: string, localAddr: string): Uint8Array<ArrayBuffer> {
  const inline = type <= MOST_INLINE;
  const data = inline ? [] : block(u16(type & 0xffff, type >>> 16));
  // Fields: type (0: it is among the data); the session is skipped; user data 0.
  const header = [...u16(3, inline ? 2 * (type + 1) : 0, 1, 2), ...data];
  const text = (value: string) => block([...new TextEncoder().encode(value)]);
  const message = [...u16(2, 0, 0), ...text(remoteAddr), ...text(localAddr)];
  const packed = pack([...header, ...message]);
  return Uint8Array.from([packed.length >> 8, packed.length & 255, ...packed]);
}

/**
 * sproto's 0-pack: groups of 8 bytes, each after a byte whose bits say which of them are not 0 and therefore stand here. A
 * run of groups without, or nearly without, zeros stands whole, after 0xff and its number of groups less one.
 */
export function pack(bytes: readonly number[]): number[] {
  const groups = Array.from({ length: Math.ceil(bytes.length / GROUP) }, (_, i) => {
    const group = bytes.slice(i * GROUP, (i + 1) * GROUP);
    return [...group, ...Array<number>(GROUP - group.length).fill(0)];
  });
  const packed: number[] = [];
  for (let i = 0; i < groups.length;) {
    const run = runLength(groups, i);
    if (run > 0) packed.push(0xff, run - 1, ...groups.slice(i, i + run).flat());
    else packed.push(...packGroup(groups[i]!));
    i += Math.max(run, 1);
  }
  return packed;
}

const nonZeros = (group: readonly number[]): number => group.filter((byte) => byte !== 0).length;

/** How many groups from `start` stand whole: the first has no zero, the others at most two. */
function runLength(groups: readonly number[][], start: number): number {
  if (nonZeros(groups[start]!) < GROUP) return 0;
  let end = start + 1;
  while (end < groups.length && end - start < MOST_GROUPS && nonZeros(groups[end]!) >= GROUP - 2) end++;
  return end - start;
}

function packGroup(group: readonly number[]): number[] {
  const tag = group.reduce((bits, byte, i) => byte === 0 ? bits : bits | 1 << i, 0);
  return [tag, ...group.filter((byte) => byte !== 0)];
}
