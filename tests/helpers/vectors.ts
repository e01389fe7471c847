import vectors from "../testdata/vectors.json" with { type: "json" };

/** Known-good values, made by other programs: its `about` says by which. */
export { vectors };

/** A 64-bit value written as 16 hex digits. */
export const u64 = (hex: string): bigint => BigInt(`0x${hex}`);

export const toHex = (bytes: Iterable<number>): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
