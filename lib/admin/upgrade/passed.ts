import type { StandStill } from "./upgrade_record.ts";

/** What has gone over. */
export class Passed {
  /** Whether all has. */
  hasAll = false;
  /** How many are the other process's. */
  sessions = 0;
  readonly #stoodStill: { count: number; time: number }[] = [];

  /** So many sessions stood still for so many milliseconds; one may do so more than once. */
  stoodStill(count: number, time: number): void {
    this.#stoodStill.push({ count, time });
  }

  /** For how long they stood still. */
  get standStill(): StandStill {
    const all = this.#stoodStill.filter(({ count }) => count > 0).sort((a, b) => a.time - b.time);
    const at = (part: number) => {
      let left = part * all.reduce((sum, { count }) => sum + count, 0);
      return all.find(({ count }) => (left -= count) <= 0)?.time ?? 0;
    };
    return { p50: at(0.5), p99: at(0.99), longest: at(1) };
  }
}
