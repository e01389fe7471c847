/** Where the relay takes the time from: the system's, or a test's. */
export interface Clock {
  /** Milliseconds, from whenever. */
  now(): number;
  /** Calls `then` once, so many milliseconds from now; the function that it gives takes that back. */
  after(ms: number, then: () => void): () => void;
}

/** The time of the system. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/** Keeps to a rate: over any time, no more goes than the rate times that time, and a tenth of a second's worth. */
export class TokenBucket {
  /** The most that may go at once. */
  readonly burst: number;
  readonly #perMs: number;
  readonly #clock: Clock;
  #tokens: number;
  #at: number;

  /** `rate`: a second. */
  constructor(rate: number, clock: Clock) {
    this.burst = Math.max(1, Math.floor(rate / 10));
    this.#perMs = rate / 1000;
    this.#clock = clock;
    this.#tokens = this.burst;
    this.#at = clock.now();
  }

  /** Takes so many, at most `burst`: the milliseconds until they may go. Who takes waits so long before taking again. */
  take(count: number): number {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.burst, this.#tokens + (now - this.#at) * this.#perMs) - count;
    this.#at = now;
    return Math.max(0, -this.#tokens / this.#perMs);
  }
}
