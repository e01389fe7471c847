import { System } from "../../lib/link/engine/system.ts";
import { RingCalls } from "../../lib/link/engine/uring/ring_calls.ts";
import { until } from "./turns.ts";
import { Wraps } from "./wraps.ts";

/** Counts how threads ask the system what has happened, by either engine of the C library, while it lasts. */
export class SleepSpy implements Disposable {
  /** Calls in the thread itself, that wait or do not. */
  calls = 0;
  /** Threads that sleep. */
  asleep = 0;
  readonly #wraps = new Wraps();

  constructor() {
    this.#wraps.around(RingCalls.prototype, "enter", (enter) => (...args) => {
      this.calls++;
      return enter(...args);
    });
    this.#wraps.around(System.prototype, "wait", (wait) => (...args) => {
      this.calls++;
      return wait(...args);
    });
    this.#wraps.around(System.prototype, "waitForBell", (sleep) => (...args) => this.#sleeping(sleep(...args)));
    this.#wraps.around(System.prototype, "waitInPool", (sleep) => (...args) => this.#sleeping(sleep(...args)));
  }

  /** Waits until a thread sleeps. */
  async untilAsleep(): Promise<void> {
    await until(() => this.asleep > 0, () => "it does not come to sleep");
  }

  [Symbol.dispose](): void {
    this.#wraps[Symbol.dispose]();
  }

  async #sleeping<T>(sleep: Promise<T>): Promise<T> {
    this.asleep++;
    const result = await sleep;
    this.asleep--;
    return result;
  }
}
