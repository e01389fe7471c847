import type { Flow, Sink } from "./flow.ts";

/** Milliseconds that the other end has to take the last bytes and to close too (protocol: Version 2: Ends). */
const FAREWELL = 1000;

/** What is still to be written: see `AckedSession`. */
export interface LastWords {
  readonly wire: Uint8Array<ArrayBuffer>;
  wrote(count: number): void;
}

/**
 * Writes the last bytes over a flow, which it owns, ends the direction, and closes it when the other end has: what comes meanwhile is
 * forgotten, as a close with bytes unread would be a reset, which can overtake what was written.
 */
export class Farewell implements Sink {
  readonly #flow: Flow;
  readonly #words: LastWords;
  readonly #onClosed: () => void;
  readonly #deadline: ReturnType<typeof setTimeout>;
  #isTold = false;
  #isClosed = false;

  /** `onClosed`: called once. */
  constructor(flow: Flow, words: LastWords, onClosed: () => void) {
    this.#flow = flow;
    this.#words = words;
    this.#onClosed = onClosed;
    this.#deadline = setTimeout(() => this.close(), FAREWELL);
    flow.pause();
    flow.sink = this;
    flow.resume(Infinity);
    this.writable();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#deadline);
    this.#flow.close();
    this.#onClosed();
  }

  readable(): void {}

  writable(): void {
    try {
      for (let bytes = this.#words.wire; bytes.length > 0; bytes = this.#words.wire) {
        const n = this.#flow.write(bytes);
        this.#words.wrote(n);
        if (n < bytes.length) return;
      }
    } catch {
      return this.close();
    }
    if (this.#isTold) return;
    this.#isTold = true;
    this.#flow.closeWrite();
  }

  ended(): void {
    // It may have ended its direction long ago, and still take what is on its way.
    if (this.#isTold) this.close();
  }

  lost(): void {
    this.close();
  }
}
