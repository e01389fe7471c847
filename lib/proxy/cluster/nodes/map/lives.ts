import { formatEndpoint } from "../../../../link/link.ts";
import type { Found } from "../../discovery/discovery.ts";
import { keyOf, type Known, type Life } from "./facts.ts";

/** All that is known of lives: plain data. */
export interface LivesSnapshot {
  found: Found[];
  told: Known[];
  epochs: { slot: number; epoch: number }[];
}

/** Which instance had a slot in which epoch, as all have told, in whatever order they did. */
export class Lives {
  readonly #told = new Map<string, Known>();
  readonly #epochs = new Map<number, number>();
  #found: Found[] = [];

  /** Where the discovery says that nodes are: all of it, each time. */
  get found(): readonly Found[] {
    return this.#found;
  }

  set found(found: readonly Found[]) {
    this.#found = [...found];
    for (const { slot, epoch } of found) if (epoch !== undefined) this.remember(slot, epoch);
  }

  get snapshot(): LivesSnapshot {
    const epochs = [...this.#epochs].map(([slot, epoch]) => ({ slot, epoch }));
    return { found: this.#found, told: [...this.#told.values()], epochs };
  }

  /** Knows what another one knew. */
  restore({ found, told, epochs }: LivesSnapshot): void {
    this.found = found;
    for (const known of told) this.tell(known);
    for (const { slot, epoch } of epochs) this.remember(slot, epoch);
  }

  /** Takes what a node tells. Of two that tell of one life differently all must take the same one. Gives whether it is new. */
  tell(known: Known): boolean {
    const key = keyOf(known);
    const before = this.#told.get(key);
    if (before && !isRather(known, before)) return false;
    this.#told.set(key, known);
    this.remember(known.slot, known.epoch);
    return true;
  }

  forget(life: Life): void {
    this.#told.delete(keyOf(life));
  }

  /** Each life once; first those that the discovery tells of, whose address is that. */
  *all(): Iterable<Life> {
    const given = new Set<string>();
    for (const { epoch, instance, ...found } of this.#found) {
      if (epoch === undefined || instance === undefined) continue;
      const key = keyOf({ ...found, epoch, instance });
      if (given.has(key)) continue;
      given.add(key);
      const at = this.#told.get(key)?.at;
      yield { ...found, epoch, instance, ...(at !== undefined && { at }) };
    }
    for (const [key, known] of this.#told) if (!given.has(key)) yield known;
  }

  /** The largest epoch that was ever told of, by slot. */
  get epochs(): ReadonlyMap<number, number> {
    return this.#epochs;
  }

  /** Somebody remembers that epoch of the slot. */
  remember(slot: number, epoch: number): void {
    this.#epochs.set(slot, Math.max(epoch, this.#epochs.get(slot) ?? 0));
  }
}

function isRather(a: Known, b: Known): boolean {
  return a.at === b.at ? formatEndpoint(a.addr) < formatEndpoint(b.addr) : a.at < b.at;
}

/** Which of two instances with one slot and epoch has it: the one that took it earlier, else the one with the smaller name. */
export function isBefore(a: Life, b: Life): boolean {
  const [of, than] = [a.at ?? Infinity, b.at ?? Infinity];
  return of === than ? a.instance < b.instance : of < than;
}
