import { reasonOf } from "./link.ts";

/** How long an attempt may take before the next begins beside it, in milliseconds; as RFC 8305 has it. */
export const STAGGER = 250;

export interface RaceOptions<C, T> {
  /** Tries one. The signal is aborted when another has won, or the race is given up; it must settle soon then. */
  attempt: (candidate: C, signal: AbortSignal) => Promise<T>;
  /** Gets what an attempt made after another had won, or the race was given up. */
  discard: (late: T) => void;
  /** Hears of each that failed, or was overtaken by one that began after it; not of those that were given up. */
  onFailure: (candidate: C, error: unknown) => void;
  /** Gives the race up. */
  signal?: AbortSignal | undefined;
}

/**
 * Tries candidates until one succeeds: each begins as soon as one before it has failed, or `STAGGER` after the latest one
 * began. Gives what the first to succeed made. Rejects when all have failed, with an `AggregateError` of why, in the order
 * of the candidates; and when it is given up. There must be one.
 */
export function race<C, T>(candidates: readonly C[], options: RaceOptions<C, T>): Promise<T> {
  if (candidates.length === 1 && options.signal) return alone(candidates[0]!, options, options.signal);
  return new Race(candidates, options).run();
}

/** The same with one candidate, for which nothing has to be timed, and nothing be stopped but by who asked. */
async function alone<C, T>(candidate: C, options: RaceOptions<C, T>, signal: AbortSignal): Promise<T> {
  const givenUp = () => new Error("given up");
  if (signal.aborted) throw givenUp();
  try {
    const value = await options.attempt(candidate, signal);
    if (!signal.aborted) return value;
    options.discard(value);
  } catch (error) {
    if (!signal.aborted) {
      options.onFailure(candidate, error);
      throw new AggregateError([error], reasonOf(error));
    }
  }
  throw givenUp();
}

class Race<C, T> {
  readonly #candidates: readonly C[];
  readonly #options: RaceOptions<C, T>;
  readonly #over = new AbortController();
  readonly #result = Promise.withResolvers<T>();
  readonly #failures = new Map<number, unknown>();
  #begun = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(candidates: readonly C[], options: RaceOptions<C, T>) {
    this.#candidates = candidates;
    this.#options = options;
  }

  async run(): Promise<T> {
    const { signal } = this.#options;
    const giveUp = () => this.#end(() => this.#result.reject(new Error("given up")));
    signal?.addEventListener("abort", giveUp);
    if (signal?.aborted) giveUp();
    else this.#next();
    try {
      return await this.#result.promise;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  #next(): void {
    clearTimeout(this.#timer);
    const index = this.#begun;
    if (index === this.#candidates.length) return;
    this.#begun++;
    if (this.#begun < this.#candidates.length) this.#timer = setTimeout(() => this.#next(), STAGGER);
    this.#options.attempt(this.#candidates[index]!, this.#over.signal)
      .then((value) => this.#succeeded(index, value), (error) => this.#failed(index, error));
  }

  #succeeded(index: number, value: T): void {
    if (this.#isOver) return this.#options.discard(value);
    this.#end(() => this.#result.resolve(value));
    for (let before = 0; before < index; before++) {
      if (!this.#failures.has(before)) this.#options.onFailure(this.#candidates[before]!, new Error("overtaken"));
    }
  }

  #failed(index: number, error: unknown): void {
    if (this.#isOver) return;
    this.#failures.set(index, error);
    this.#options.onFailure(this.#candidates[index]!, error);
    if (this.#failures.size < this.#candidates.length) return this.#next();
    const errors = this.#candidates.map((_, i) => this.#failures.get(i));
    this.#end(() => this.#result.reject(new AggregateError(errors, errors.map(reasonOf).join("; "))));
  }

  get #isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** Settles the result, and stops what is under way. */
  #end(settle: () => void): void {
    clearTimeout(this.#timer);
    settle();
    this.#over.abort();
  }
}
