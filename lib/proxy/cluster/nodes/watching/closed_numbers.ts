import type { CarriedName } from "../peers.ts";

/** The most numbers that wait for one instance: the oldest go. What carries these ends by itself, only later. */
const MOST_WAITING = 65536;

/** Of one instance: what was told in the answer before, and what came since. */
interface Waiting {
  batch: number;
  told: CarriedName[];
  next: CarriedName[];
  /** When it asked last, or the first number came. */
  at: number;
}

/**
 * Which carried connections were closed here, for those that carry them: each learns of its own when it asks, and no answer that is
 * lost takes any with it, as each question says which answer came last.
 */
export class ClosedNumbers {
  readonly #waiting = new Map<string, Waiting>();

  /** This end of it was closed, at that time. */
  add(name: CarriedName, now: number): void {
    const { next } = this.#of(name.instance, now);
    next.push(name);
    if (next.length > MOST_WAITING) next.shift();
  }

  /** What is told to an instance that asks, and has had the batch `confirmed` last: what is not in that. */
  tell(instance: string, confirmed: number, now: number): { batch: number; closed: Record<string, number[]> } {
    const waiting = this.#of(instance, now);
    waiting.at = now;
    const left = waiting.told.length > 0 && confirmed !== waiting.batch ? waiting.told : [];
    waiting.told = [...left, ...waiting.next].slice(-MOST_WAITING);
    waiting.next = [];
    waiting.batch++;
    return { batch: waiting.batch, closed: byThread(waiting.told) };
  }

  /** Those that nobody is known to have heard of. */
  get all(): CarriedName[] {
    const all = [...this.#waiting.values()].flatMap(({ told, next }) => [...told, ...next]);
    return all.map(({ instance, thread, number }) => ({ instance, thread, number }));
  }

  /** Forgets what was for those that have not asked since then: they are no more. */
  sweep(before: number): void {
    for (const [instance, { at }] of this.#waiting) if (at < before) this.#waiting.delete(instance);
  }

  #of(instance: string, now: number): Waiting {
    // Counted from the time: of what is forgotten meanwhile no batch has the number of a later one.
    const waiting = this.#waiting.get(instance) ?? { batch: now, told: [], next: [], at: now };
    this.#waiting.set(instance, waiting);
    return waiting;
  }
}

/** What instances have told of that: which batch of each came last. */
export class HeardBatches {
  readonly #last = new Map<string, number>();

  lastOf(instance: string): number {
    return this.#last.get(instance) ?? 0;
  }

  heard(instance: string, batch: number): void {
    this.#last.set(instance, batch);
  }

  /** Forgets all but these instances. */
  keep(instances: ReadonlySet<string>): void {
    for (const instance of this.#last.keys()) if (!instances.has(instance)) this.#last.delete(instance);
  }
}

function byThread(names: readonly CarriedName[]): Record<string, number[]> {
  const closed: Record<string, number[]> = {};
  for (const { thread, number } of names) (closed[thread] ??= []).push(number);
  return closed;
}
