/** Chance that repeats: every number from one seed (xorshift32). */
export class Random {
  readonly seed: number;
  #state: number;

  /** Of the seed, 32 bits count. Without one, chance chooses it. */
  constructor(seed: number = crypto.getRandomValues(new Uint32Array(1))[0]!) {
    this.seed = seed;
    this.#state = scatter(seed) || 1;
  }

  /** Of [0, 1). */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state / 2 ** 32;
  }

  /** An integer of [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }
}

/** Spreads 32 bits, so that numbers that are alike, as 1 and 2, become unlike: the finalizer of MurmurHash3. */
export function scatter(bits: number): number {
  let x = bits >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
