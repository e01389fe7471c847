/** The most that are printed: when much fails, it mostly is one thing. */
const MOST = 20;

/** What went wrong, each printed as it is found. */
export class Failures {
  readonly #first = Promise.withResolvers<void>();
  #reason: string | undefined;
  #count = 0;
  #closed = false;

  /** Says that something went wrong. */
  add(reason: string): void {
    if (this.#closed) return;
    this.#count++;
    if (this.#count <= MOST) console.error(`failure: ${reason}`);
    this.#reason ??= reason;
    this.#first.resolve();
  }

  /** What goes wrong from now on is but what follows from the failures there are. */
  close(): void {
    this.#closed = true;
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** The first one; `undefined`: there is none. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Settles at the first one. */
  get first(): Promise<void> {
    return this.#first.promise;
  }
}
