import type { Population } from "./population.ts";
import { sleep } from "./sleep.ts";

/** Milliseconds between two of them. */
const EVERY = 500;

/** Clients of version 2 that have done what they came for: each ends its direction, reads to the end, and another one comes. */
export class Turnover {
  readonly #population: Population;
  readonly #renewals = new Set<Promise<void>>();
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(population: Population) {
    this.#population = population;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Settles when the last session has come to its end. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#renewals);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const renewal = this.#population.renew().finally(() => this.#renewals.delete(renewal));
      this.#renewals.add(renewal);
      await sleep(EVERY);
    }
  }
}
