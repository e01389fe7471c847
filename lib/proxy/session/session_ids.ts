import { hmac64Md5, ScpError } from "../../scp/mod.ts";
import { bitsOf, type IdLayout, type Owner, ownerBits } from "../owner.ts";
import type { Seams } from "../seams.ts";

/** The part of all ids that may be taken. */
const MOST_TAKEN = 0.9;

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

/** Those of the owner that this thread is, which may come to be another one. */
export class FreshIds {
  readonly #seams: Pick<Seams, "randomU64" | "cluster">;
  #ids: { of: Owner; given: SessionIds };

  constructor(seams: Pick<Seams, "randomU64" | "cluster">) {
    this.#seams = seams;
    this.#ids = this.#idsOf(seams.cluster.self);
  }

  /** One that is `taken` by none. Throws `ScpError` 501 when too few are left to look for one. */
  next(taken: readonly { readonly size: number; has(id: number): boolean }[]): number {
    const { self } = this.#seams.cluster;
    if (self.slot !== this.#ids.of.slot || self.epoch !== this.#ids.of.epoch) this.#ids = this.#idsOf(self);
    const { given } = this.#ids;
    const count = taken.reduce((sum, { size }) => sum + size, 0);
    if (count > MOST_TAKEN * given.count) throw new ScpError(501, `of all ids ${count} are taken`);
    for (;;) {
      const id = given.next();
      if (!taken.some((ids) => ids.has(id))) return id;
    }
  }

  #idsOf(owner: Owner): { of: Owner; given: SessionIds } {
    const { randomU64, cluster: { layout } } = this.#seams;
    return { of: owner, given: new SessionIds(randomU64(), owner, layout) };
  }
}
