/** Lets so many tasks run at once; those beyond wait, in the order in which they came. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#free = most;
  }

  /** What `task` gives, which begins at once when there is room. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      // Whoever waits has this place: who comes meanwhile is not let in before.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
