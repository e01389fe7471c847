/** What is left of x^8 in the field: polynomial 0x11d, whose generator is 2. */
const POLYNOMIAL = 0x11d;

/** Powers of the generator, twice over: sums of two logarithms need no remainder. */
const POWERS = new Uint8Array(510);
const LOGARITHMS = new Uint8Array(256);

for (let exponent = 0, value = 1; exponent < 255; exponent++) {
  POWERS[exponent] = POWERS[exponent + 255] = value;
  LOGARITHMS[value] = exponent;
  value = value << 1 ^ (value & 0x80 ? POLYNOMIAL : 0);
}

/** The product in GF(2^8); sums and differences are `^`. */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : POWERS[LOGARITHMS[a]! + LOGARITHMS[b]!]!;
}

/** What `value`, which is not 0, is multiplied by to give 1. */
export function invert(value: number): number {
  return POWERS[255 - LOGARITHMS[value]!]!;
}

/** `base` so many times; 0 to the power of 0 is 1. */
export function power(base: number, exponent: number): number {
  let result = 1;
  for (; exponent > 0; exponent--) result = multiply(result, base);
  return result;
}

/** Of each factor that was needed so far, its product with every byte. */
const TABLES: (Uint8Array | undefined)[] = [];

function tableOf(factor: number): Uint8Array {
  return TABLES[factor] ??= Uint8Array.from({ length: 256 }, (_, byte) => multiply(factor, byte));
}

/** Adds `factor` times each byte of `from` to the bytes of `to`, which is at least as long. */
export function addMultiple(to: Uint8Array, from: Uint8Array, factor: number): void {
  if (factor === 0) return;
  const table = tableOf(factor);
  for (let i = 0; i < from.length; i++) to[i]! ^= table[from[i]!]!;
}
