import type { ClusterOptions } from "../../config.ts";

/** Milliseconds between two times that clients are told to leave. */
const PACE = 1000;

/**
 * Has the clients leave a process that is to end, whose sessions are elsewhere: they lose nothing by that. Not at once, as they may come
 * back to this one before balancers have seen that it is not ready; and at a pace, as each of them makes a connection somewhere.
 */
export class Departure {
  readonly #options: () => Pick<ClusterOptions, "drainDelay" | "drainRate">;
  readonly #tell: (most: number) => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  /** `tell`: tells at most so many. Never rejects. */
  constructor(options: () => Pick<ClusterOptions, "drainDelay" | "drainRate">, tell: (most: number) => Promise<void>) {
    this.#options = options;
    this.#tell = tell;
  }

  /** To be called once. */
  begin(): void {
    this.#timer = setTimeout(() => this.#go(), this.#options().drainDelay);
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  async #go(): Promise<void> {
    await this.#tell(this.#options().drainRate * PACE / 1000);
    // Who came meanwhile, or could not be told, is told the next time.
    if (!this.#isOver) this.#timer = setTimeout(() => this.#go(), PACE);
  }
}
