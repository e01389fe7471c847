const FIRST = 200;
const LEAST = 100;
const LEAST_WITHOUT_DELAY = 30;
const MOST = 60_000;

/** As plain data. */
export interface RoundTripSnapshot {
  variation: number;
  smoothed: number;
  timeout: number;
}

/** How long a segment and its ACK take, in milliseconds, and when an ACK is overdue (RFC 6298, as KCP has it). */
export class RoundTrip {
  readonly #least: number;
  readonly #interval: number;
  #variation = 0;
  /** Smoothed; 0: none was measured. */
  smoothed = 0;
  /** When an ACK is overdue. */
  timeout = FIRST;

  constructor({ nodelay, interval }: { nodelay: boolean; interval: number }) {
    this.#least = nodelay ? LEAST_WITHOUT_DELAY : LEAST;
    this.#interval = interval;
  }

  get snapshot(): RoundTripSnapshot {
    return { variation: this.#variation, smoothed: this.smoothed, timeout: this.timeout };
  }

  /** Is from now on as that one was. */
  goOnFrom({ variation, smoothed, timeout }: RoundTripSnapshot): void {
    this.#variation = variation;
    this.smoothed = smoothed;
    this.timeout = timeout;
  }

  /** One was measured. */
  sample(measured: number): void {
    const time = Math.min(measured, MOST);
    if (this.smoothed === 0) {
      this.smoothed = time;
      this.#variation = time >> 1;
    } else {
      const difference = time - this.smoothed;
      this.smoothed += difference >> 3;
      // One that is far below what was to be expected says little about how much they vary.
      const isFarBelow = time < this.smoothed - this.#variation;
      this.#variation += (Math.abs(difference) - this.#variation) >> (isFarBelow ? 5 : 2);
    }
    const timeout = this.smoothed + Math.max(this.#interval, this.#variation << 2);
    this.timeout = Math.min(Math.max(this.#least, timeout), MOST);
  }
}
