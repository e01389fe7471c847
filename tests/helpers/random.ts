import { Random as Seeded } from "../../lib/random.ts";

/** Chance that repeats, for tests. Print the seed with every failure. */
export class Random extends Seeded {
  /** The seed is `GOSCON_SEED` when that is set. */
  constructor(seed?: number) {
    super(seed ?? (Number(Deno.env.get("GOSCON_SEED")) || undefined));
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
