import { hmac64Md5 } from "../scp/mod.ts";

const HALF = 0xffff;

/**
 * The ids of sessions: every number of [1, 2^32) once, in an order that only the key tells, before any comes again
 * (protocol: What a correct proxy must get right, 7). A counter goes through a Feistel network, which is a permutation
 * whatever its round function is; with a keyed hash for that and four rounds, the next id is not to be told from those before.
 */
export class SessionIds {
  readonly #key: bigint;
  #counter: number;

  /** `key`: 64 bits from a cryptographic generator. `start`: where the counter starts, 32 bits. */
  constructor(key: bigint, start = 0) {
    this.#key = key;
    this.#counter = start;
  }

  /** The next id. */
  next(): number {
    for (;;) {
      const id = this.#permute(this.#counter);
      this.#counter = (this.#counter + 1) >>> 0;
      if (id !== 0) return id;
    }
  }

  #permute(n: number): number {
    let left = n >>> 16;
    let right = n & HALF;
    for (let round = 0; round < 4; round++) {
      const mixed = hmac64Md5(BigInt(round * (HALF + 1) + right), this.#key);
      [left, right] = [right, left ^ Number(mixed & BigInt(HALF))];
    }
    return (left << 16 | right) >>> 0;
  }
}
