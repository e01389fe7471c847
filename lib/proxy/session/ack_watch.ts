import type { Flow } from "../../link/flow.ts";

/**
 * Tells an end that is gone from one that is slow. Both leave bytes on their way; but the system of one that only reads slowly
 * answers, also when it takes nothing.
 */
export class AckWatch {
  /** What had been written when last nothing was on its way. */
  #ackedAt = 0;
  /** Since when something is, as far as was looked; 0: nothing is. */
  #since = 0;

  /**
   * Whether nothing was heard for `timeout` milliseconds of the system of the other end, with bytes on their way to it; 0: never. To
   * be called about once a second. `written`: how many bytes were, ever. `now`: milliseconds, from any start.
   */
  isGone(flow: Pick<Flow, "unacknowledged" | "silence">, written: number, timeout: number, now: number): boolean {
    if (timeout === 0 || written === this.#ackedAt) return false;
    if (flow.unacknowledged() === 0) {
      this.#ackedAt = written;
      this.#since = 0;
      return false;
    }
    this.#since ||= now;
    return now - this.#since >= timeout && flow.silence() >= timeout;
  }

  /** The connection is another one. */
  restart(): void {
    this.#since = 0;
  }
}
