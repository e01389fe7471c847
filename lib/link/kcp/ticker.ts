/** Milliseconds between two ticks. */
const TICK = 10;

/** What has something to do at some time. */
export interface Ticking {
  /** When: milliseconds, -Infinity: at once, Infinity: never. */
  readonly due: number;
  /** Does it. */
  tick(now: number): void;
}

/**
 * Has conversations do what is due: at once what cannot wait, with all else of the round, and the rest by one timer for all of them.
 * Those that have nothing to do cost nothing.
 */
export class Ticker {
  readonly #soon: (callback: () => void) => void;
  readonly #now: () => number;
  readonly #urgent = new Set<Ticking>();
  readonly #waiting = new Set<Ticking>();
  #isComing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `soon`: see `Engine.soon`; `now`: milliseconds of a clock that never goes back. */
  constructor(soon: (callback: () => void) => void, now: () => number = () => performance.now()) {
    this.#soon = soon;
    this.#now = now;
  }

  /** Something is due with it, or not any more. */
  schedule(ticking: Ticking): void {
    const { due } = ticking;
    if (due === Infinity) return void this.#waiting.delete(ticking);
    if (due > this.#now()) {
      this.#waiting.add(ticking);
      this.#timer ??= setTimeout(() => this.#tick(), TICK);
      return;
    }
    this.#urgent.add(ticking);
    if (this.#isComing) return;
    this.#isComing = true;
    this.#soon(() => this.flush());
  }

  /** Does at once what cannot wait: to be called, too, when a round is over in which much has come. */
  flush(): void {
    this.#isComing = false;
    if (this.#urgent.size === 0) return;
    const urgent = [...this.#urgent];
    this.#urgent.clear();
    const now = this.#now();
    for (const ticking of urgent) ticking.tick(now);
    for (const ticking of urgent) this.schedule(ticking);
  }

  /** It is gone. */
  forget(ticking: Ticking): void {
    this.#urgent.delete(ticking);
    this.#waiting.delete(ticking);
  }

  /** All that was to be done is not. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#urgent.clear();
    this.#waiting.clear();
  }

  #tick(): void {
    this.#timer = undefined;
    const now = this.#now();
    // What is due before the next tick: later would be late.
    const due = [...this.#waiting].filter((ticking) => ticking.due < now + TICK);
    for (const ticking of due) {
      this.#waiting.delete(ticking);
      ticking.tick(now);
      this.schedule(ticking);
    }
    if (this.#waiting.size > 0) this.#timer ??= setTimeout(() => this.#tick(), TICK);
  }
}
