import type { Found } from "./discovery.ts";

/**
 * What was found, also for a while after it is found no more: who ends drops out of the DNS at once and has sessions still, and a Redis
 * that comes back may know nobody.
 */
export class Kept {
  readonly #keep: number;
  readonly #now: () => number;
  readonly #onChange: (found: readonly Found[]) => void;
  /** `missing`: since when it is found no more. */
  readonly #known = new Map<string, { found: Found; missing?: number }>();
  #told: string | undefined;

  /** `keep`: milliseconds. `now`: milliseconds, from any start. */
  constructor(
    { keep, now, onChange }: { keep: number; now: () => number; onChange: (found: readonly Found[]) => void },
  ) {
    this.#keep = keep;
    this.#now = now;
    this.#onChange = onChange;
  }

  /** This is found now. Tells what is to be known by that, when it is something else than before. */
  see(all: readonly Found[]): void {
    const now = this.#now();
    const seen = new Map(all.map((found) => [keyOf(found), found]));
    for (const [key, known] of this.#known) {
      if (seen.has(key)) continue;
      known.missing ??= now;
      if (now - known.missing >= this.#keep) this.#known.delete(key);
    }
    for (const [key, found] of seen) this.#known.set(key, { found });
    this.#tell();
  }

  #tell(): void {
    const found = [...this.#known].sort(([a], [b]) => a < b ? -1 : 1).map(([, known]) => known.found);
    const text = JSON.stringify(found);
    if (text === this.#told) return;
    this.#told = text;
    this.#onChange(found);
  }
}

/** One is another only when its slot, or who has it, is. */
function keyOf({ slot, epoch, instance }: Found): string {
  return JSON.stringify([slot, epoch, instance]);
}
