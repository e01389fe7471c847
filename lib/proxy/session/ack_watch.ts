import type { Flow } from "../../link/flow.ts";

/**
 * Tells an end that is gone from one that is slow. Both leave bytes on their way; but the system of one that only reads slowly
 * answers, also when it takes nothing.
 */
export class AckWatch {
  /** What had been written when last nothing was on its way; -1: that is not known. */
  #ackedAt = -1;
  /** Since when an answer is owed, as far as was looked; `undefined`: none is. */
  #since: number | undefined;

  /**
   * Whether the system of the other end owes an answer for `timeout` milliseconds; 0: never. To be called about once a second.
   * `written`: how many bytes were, ever. `now`: milliseconds, from any start.
   */
  isGone(flow: Pick<Flow, "unacknowledged" | "silence">, written: number, timeout: number, now: number): boolean {
    // An idle connection costs no call of the system.
    if (timeout === 0 || written === this.#ackedAt) return false;
    if (flow.unacknowledged() === 0) {
      this.restart();
      this.#ackedAt = written;
      return false;
    }
    const silence = flow.silence();
    if (silence === 0) {
      this.#since = undefined;
      return false;
    }
    // It may have been idle for long before it was sent anything: the silence alone does not tell.
    this.#since ??= now;
    return silence >= timeout && now - this.#since >= timeout;
  }

  /** The connection is another one. */
  restart(): void {
    this.#ackedAt = -1;
    this.#since = undefined;
  }
}
