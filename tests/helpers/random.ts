/** Chance that repeats: every number from one seed (xorshift32). Print the seed with every failure. */
export class Random {
  readonly seed: number;
  #state: number;

  /** The seed is `GOSCON_SEED` when that is set. */
  constructor(seed = Number(Deno.env.get("GOSCON_SEED")) || crypto.getRandomValues(new Uint32Array(1))[0]!) {
    this.seed = seed;
    this.#state = seed >>> 0 || 1;
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

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.int(0, 255));
  }

  /** A generator of its own, so that tasks beside each other do not disturb each other's numbers. */
  fork(): Random {
    return new Random(this.int(1, 2 ** 32 - 1));
  }
}

/** Byte `position` of a stream that repeats only after 64 KiB and more: a byte lost, doubled or moved shows. */
export function patternAt(position: number, stream = 0): number {
  return (position * 131 + (position >>> 8) * 7 + (position >>> 16) * 29 + stream * 101 + 17) & 255;
}

/** So many bytes of that stream from `position`. */
export function pattern(position: number, length: number, stream = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = patternAt(position + i, stream);
  return bytes;
}
