import { hmac64Md5 } from "../../scp/mod.ts";

/**
 * How the ids of sessions are shared out among `owners`: their lowest bits tell whose a session is. An even number of bits, so
 * that the rest has two halves.
 */
export function ownerBits(owners: number): number {
  return 2 * Math.ceil(Math.log2(owners) / 2);
}

/** Whose session that is, by `bits` of its id. */
export function ownerOf(id: number, bits: number): number {
  return id % 2 ** bits;
}

/**
 * The ids of an owner's sessions: every number of [1, 2^32) that is the owner's once, in an order that only the key tells, before
 * any comes again (protocol: What a correct proxy must get right, 7). A counter goes through a Feistel network, which is a
 * permutation whatever its round function is; with a keyed hash for that and four rounds, the next id is not to be told from
 * those before.
 */
export class SessionIds {
  readonly #key: bigint;
  readonly #owner: number;
  readonly #bits: number;
  /** Bits of a half of the counter. */
  readonly #half: number;
  #counter: number;

  /** `key`: 64 bits from a cryptographic generator. `start`: where the counter starts. */
  constructor(key: bigint, { start = 0, owner = 0, bits = 0 }: { start?: number; owner?: number; bits?: number } = {}) {
    this.#key = key;
    this.#owner = owner;
    this.#bits = bits;
    this.#half = (32 - bits) / 2;
    this.#counter = start;
  }

  /** The next id. */
  next(): number {
    for (;;) {
      const id = this.#permute(this.#counter) * 2 ** this.#bits + this.#owner;
      this.#counter = (this.#counter + 1) % 2 ** (2 * this.#half);
      if (id !== 0) return id;
    }
  }

  #permute(n: number): number {
    const size = 2 ** this.#half;
    let left = Math.floor(n / size);
    let right = n % size;
    for (let round = 0; round < 4; round++) {
      const mixed = hmac64Md5(BigInt(round * size + right), this.#key);
      [left, right] = [right, left ^ Number(mixed & BigInt(size - 1))];
    }
    return left * size + right;
  }
}
