/** How often something may be done: so many times at once, and then as often as time goes by, so that it never takes long at a stretch. */
export class Pace {
  readonly #perSecond: number;
  readonly #most: number;
  readonly #now: () => number;
  /** How often it may be done now, as of then. */
  #left: number;
  #at: number;

  /** `most`: times at once; `now`: milliseconds of a clock that never goes back. */
  constructor(perSecond: number, most: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#most = this.#left = most;
    this.#now = now;
    this.#at = now();
  }

  /** Whether it may be done now. It may be asked often: the clock is looked at only when it may not. */
  get isFree(): boolean {
    if (this.#left < 1) this.#refill();
    return this.#left >= 1;
  }

  /** It is done. */
  count(): void {
    this.#refill();
    this.#left--;
  }

  /** One of the times that it was done does not count: no more than `most` are left by that. */
  giveBack(): void {
    this.#left++;
  }

  #refill(): void {
    const now = this.#now();
    this.#left = Math.min(this.#most, this.#left + (now - this.#at) * this.#perSecond / 1000);
    this.#at = now;
  }
}
