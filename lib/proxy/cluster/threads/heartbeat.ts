import { within } from "../../../within.ts";

/** Milliseconds without an answer after which a thread counts as hung: it is in a loop, or stands still. */
const HUNG = 3000;

/** What can be asked whether it goes on. */
export interface Pinged {
  ping(): Promise<void>;
}

/** Knows which threads go on, by asking each of them again and again. */
export class Heartbeat<T extends Pinged> {
  readonly #threads: readonly T[];
  readonly #now: () => number;
  /** When each was asked what it has not answered; 0: it has. */
  readonly #asked: number[];

  constructor(threads: readonly T[], now: () => number) {
    this.#threads = threads;
    this.#now = now;
    this.#asked = threads.map(() => 0);
  }

  /** The threads that are hung, by their numbers. */
  get hung(): number[] {
    const now = this.#now();
    return [...this.#asked.keys()].filter((i) => this.#asked[i]! > 0 && now - this.#asked[i]! >= HUNG);
  }

  /** Asks those that have answered last time. To be called every second or two. */
  beat(): void {
    this.#threads.forEach((thread, i) => {
      if (this.#asked[i]! > 0) return;
      this.#asked[i] = this.#now();
      thread.ping().then(() => this.#asked[i] = 0, () => {}); // who cannot answer is hung
    });
  }

  /** Asks every thread; of those that are hung, or become it meanwhile, there is no answer. Rejects when one refuses. */
  async ask<R>(call: (thread: T) => Promise<R>): Promise<(R | undefined)[]> {
    const { hung } = this;
    return await Promise.all(
      this.#threads.map((thread, i) => hung.includes(i) ? undefined : within(HUNG, call(thread))),
    );
  }

  /** Tells every thread what it must know: those that are hung hear it when they go on, and are not waited for. Rejects when one refuses. */
  async tell(call: (thread: T) => Promise<void>): Promise<void> {
    const { hung } = this;
    await Promise.all(this.#threads.map((thread, i) => within(hung.includes(i) ? 0 : HUNG, call(thread))));
  }
}
