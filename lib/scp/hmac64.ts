/** The hashes of the protocol (section Computations). A 64-bit value is a `bigint`; its bytes are little-endian. */

const MASK_32 = 0xffffffffn;

const ROTATIONS = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
const INITIAL = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;
/** MD5's table: floor(2^32 * abs(sin(i + 1))) (RFC 1321, 3.4). */
const SINES = Int32Array.from({ length: 64 }, (_, i) => Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1))));
/** Which of the 16 words step i takes, and by how much it rotates. */
const WORD = Uint8Array.from({ length: 64 }, (_, i) => [i, 5 * i + 1, 3 * i + 5, 7 * i][i >> 4]! & 15);
const ROTATE = Uint8Array.from({ length: 64 }, (_, i) => ROTATIONS[i >> 4]![i & 3]!);

type Words4 = [a: number, b: number, c: number, d: number];

/**
 * The 64 steps of MD5's block function on 16 words (RFC 1321, 3.4), from the initial state, which is not added at
 * the end. Own code, because no library offers the bare block function that `hmac64` is made of.
 */
function md5Steps(words: ArrayLike<number>): Words4 {
  let [a, b, c, d]: Words4 = [...INITIAL];
  for (let i = 0; i < 64; i++) {
    const mix = i < 16 ? d ^ (b & (c ^ d)) : i < 32 ? c ^ (d & (b ^ c)) : i < 48 ? b ^ c ^ d : c ^ (b | ~d);
    const sum = (a + mix + SINES[i]! + words[WORD[i]!]!) | 0;
    a = d;
    d = c;
    c = b;
    b = (b + (sum << ROTATE[i]! | sum >>> (32 - ROTATE[i]!))) | 0;
  }
  return [a, b, c, d];
}

function low(x: bigint): number {
  return Number(x & MASK_32);
}

function high(x: bigint): number {
  return Number(x >> 32n & MASK_32);
}

/** The value of two halves, of which 32 bits count each. */
export function join(highHalf: number, lowHalf: number): bigint {
  return BigInt(highHalf >>> 0) << 32n | BigInt(lowHalf >>> 0);
}

/** Either of the two ways to compute the hmac of a resume request. */
export type Hmac = (x: bigint, y: bigint) => bigint;

/** What goscon computes: the MD5 of x y x y x y, its first half xor its second half. */
export function hmac64Md5(x: bigint, y: bigint): bigint {
  const [xl, xh, yl, yh] = [low(x), high(x), low(y), high(y)];
  // 48 bytes, MD5's padding, the length in bits: one block.
  const [a, b, c, d] = md5Steps([xl, xh, yl, yh, xl, xh, yl, yh, xl, xh, yl, yh, 0x80, 0, 48 * 8, 0]);
  return join(b + INITIAL[1] ^ d + INITIAL[3], a + INITIAL[0] ^ c + INITIAL[2]);
}

/** What skynet's `crypt.hmac64` computes: the bare block function over (x>>32, x, y>>32, y) four times. */
export function hmac64(x: bigint, y: bigint): bigint {
  const quarter = [high(x), low(x), high(y), low(y)];
  const [a, b, c, d] = md5Steps([...quarter, ...quarter, ...quarter, ...quarter]);
  return join(a ^ b, c ^ d);
}

/** Whether two values are equal, in a time that does not tell where they differ. */
export function isEqual64(x: bigint, y: bigint): boolean {
  return (low(x) ^ low(y) | high(x) ^ high(y)) === 0;
}
