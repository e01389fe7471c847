import type { Clock } from "../../lib/tools/flaky/token_bucket.ts";
import { turn } from "./turns.ts";

/** Time that passes only when the test says so. */
export class ManualClock implements Clock {
  readonly #timers = new Set<{ due: number; then: () => void }>();
  #now = 0;

  now(): number {
    return this.#now;
  }

  after(ms: number, then: () => void): () => void {
    const timer = { due: this.#now + ms, then };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers are pending. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets so much time pass: each timer goes at its time, and all that is ready runs after each. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await turn();
    for (;;) {
      const [next] = [...this.#timers].filter(({ due }) => due <= until).toSorted((a, b) => a.due - b.due);
      if (!next) break;
      this.#now = next.due;
      this.#timers.delete(next);
      next.then();
      await turn();
    }
    this.#now = until;
    await turn();
  }
}
