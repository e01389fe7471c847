import type { AckedStream } from "../../link/acked_stream.ts";
import type { LivenessOptions } from "../../scp/v2/mod.ts";

/** The longest time between two looks, in milliseconds. */
const LONGEST = 1000;

/** Has a stream look after its link now and then, by one timer while there is one. */
export class LinkWatch {
  readonly #stream: AckedStream;
  readonly #interval: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Looks as often as the ping interval and timeout need it. */
  constructor(stream: AckedStream, { pingInterval, pingTimeout }: LivenessOptions) {
    this.#stream = stream;
    this.#interval = Math.min(LONGEST, pingInterval || LONGEST, pingTimeout);
  }

  /** A link is there. */
  start(): void {
    this.stop();
    this.#timer = setTimeout(() => {
      this.#stream.look(performance.now());
      if (this.#stream.isAttached) this.start();
    }, this.#interval);
  }

  /** There is none. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
