import type { AckedStream } from "../../../link/acked_stream.ts";
import type { CacheBudget } from "../cache/cache_budget.ts";

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** Bytes that each session may have on the way, however little memory there is. */
const LITTLE = 64 * 1024;

/** The way from the backend to the client of a session of version 2: what there is no room for is held, and no more is read. */
export class AckedWay {
  readonly #stream: AckedStream;
  readonly #budget: CacheBudget;
  /** What there was no room for: one piece at the most. */
  #held = NOTHING;

  constructor(stream: AckedStream, budget: CacheBudget) {
    this.#stream = stream;
    this.#budget = budget;
  }

  /** What there was no room for, of one that was written down: `goOn` says then whether the backend may send more. */
  get held(): Uint8Array<ArrayBuffer> {
    return this.#held;
  }

  set held(bytes: Uint8Array<ArrayBuffer>) {
    this.#held = bytes;
  }

  /** Bytes of memory of what is held. */
  get heldInUse(): number {
    return this.#held.buffer.byteLength;
  }

  /** Whether bytes wait for room. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** Bytes of the backend, whose content is lost. Gives whether it may send more: if not, `goOn` says when. */
  send(bytes: Uint8Array<ArrayBuffer>): boolean {
    const n = this.#stream.write(bytes);
    if (n < bytes.length) this.#held = bytes.slice(n);
    return this.#takesMore;
  }

  /** There may be room again, for one that is held up: what is held goes first. Gives whether the backend may send more. */
  goOn(): boolean {
    const n = this.isHolding ? this.#stream.write(this.#held) : 0;
    this.#held = n < this.#held.length ? this.#held.subarray(n) : NOTHING;
    return this.#takesMore;
  }

  /** With too little memory, only while little is kept to be sent again. */
  get #takesMore(): boolean {
    const { room, sent, acked } = this.#stream.session;
    return room > 0 && (sent - acked < LITTLE || !this.#budget.spent);
  }
}
