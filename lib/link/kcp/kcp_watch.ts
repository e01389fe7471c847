/** What is watched: see `KcpFlow`. */
export interface Watched {
  readonly quiet: number;
  ask(): void;
  lose(reason: string): void;
}

/** Looks within the time of silence. */
const LOOKS = 4;

/**
 * Has a conversation that is quiet asked whether its peer is there, and takes it for lost when no answer comes: nothing else would tell.
 * Time in which nobody looks, as while the machine sleeps, does not count.
 */
export class KcpWatch {
  readonly #flow: Watched;
  readonly #silence: number;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Looks in a row before which nothing came. */
  #quiet = 0;

  /** `silence`: milliseconds without an answer, or up to a quarter more. */
  constructor(flow: Watched, silence: number) {
    this.#flow = flow;
    this.#silence = silence;
    this.#timer = setInterval(() => this.#look(), silence / LOOKS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#quiet = this.#flow.quiet < this.#silence / LOOKS ? 0 : this.#quiet + 1;
    if (this.#quiet > LOOKS) this.#flow.lose(`nothing came for ${this.#silence} ms, though it was asked (silence)`);
    else if (this.#quiet > 0) this.#flow.ask();
  }
}
