import { hmac64Md5 } from "../../scp/mod.ts";
import { bitsOf, type IdLayout, type Owner, ownerBits } from "../owner.ts";

/**
 * The ids of an owner's sessions: every number of [1, 2^32) that is the owner's once, in an order that only the key tells, before
 * any comes again (protocol: What a correct proxy must get right, 7). A counter goes through a Feistel network, which is a
 * permutation whatever its round function is; with a keyed hash for that and four rounds, the next id is not to be told from
 * those before. A network has two equal halves: where the counter has an odd number of bits, the network has one more, and what is
 * beyond the counter goes through it again, until it is not.
 */
export class SessionIds {
  readonly #key: bigint;
  /** The lowest bits of each. */
  readonly #owner: number;
  readonly #scale: number;
  /** How many there are, one of which may be 0. */
  readonly count: number;
  /** Bits of a half of the network. */
  readonly #half: number;
  #counter: number;

  /** `key`: 64 bits from a cryptographic generator. `start`: where the counter starts. */
  constructor(key: bigint, owner: Owner, layout: IdLayout, { start = 0 } = {}) {
    const bits = 32 - ownerBits(layout);
    this.#key = key;
    this.#owner = bitsOf(owner, layout);
    this.#scale = 2 ** ownerBits(layout);
    this.count = 2 ** bits;
    this.#half = Math.ceil(bits / 2);
    this.#counter = start;
  }

  /** The next id. */
  next(): number {
    for (;;) {
      let number = this.#permute(this.#counter);
      while (number >= this.count) number = this.#permute(number);
      this.#counter = (this.#counter + 1) % this.count;
      const id = number * this.#scale + this.#owner;
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
