import { Condition } from "../../link/condition.ts";

/** A number that grows by one again and again, for all who look at it together. */
export class Counter {
  readonly #changed = new Condition();
  readonly #timer: ReturnType<typeof setInterval>;
  #count = 0;

  /** `interval`: milliseconds from a number to the next. */
  constructor(interval: number) {
    this.#timer = setInterval(() => {
      this.#count++;
      this.#changed.notify();
    }, interval);
  }

  /** The number that was reached last; 0 at first. */
  get count(): number {
    return this.#count;
  }

  /** Each number from the next one on, also those that were reached while nobody asked. It never ends by itself. */
  async *numbers(): AsyncGenerator<number> {
    for (let next = this.#count + 1;; next++) {
      while (this.#count < next) await this.#changed.wait();
      yield next;
    }
  }

  /** Counts no more. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
