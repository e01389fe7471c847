import { LARGEST_READ } from "../../link/relay.ts";
import type { ResumableStream } from "../../link/resumable.ts";
import type { HeldUp, InFlight } from "./in_flight.ts";

const NOTHING = new Uint8Array(0);

/** What sends on the way: a session. */
export interface Sender {
  /** Bytes were sealed. */
  onSealed(): void;
  /** More may be sent, after it was not so. */
  clientTakesMore(): void;
}

/**
 * The way from a backend to its client: what may be sent, and what was sent that cannot go yet, which is one piece at the most. No
 * more is on the way than can be sent again: see `InFlight`.
 */
export class WayToClient implements HeldUp {
  readonly #stream: ResumableStream;
  readonly #sender: Sender;
  readonly #cacheSize: number;
  readonly #inFlight: InFlight;
  /** What was sent while the client was away, or had too much on its way. */
  #held = NOTHING as Uint8Array<ArrayBuffer>;
  /** What had been sent when it was looked at last what of that is on its way. */
  #lookedAt = 0;
  /** Too much of it is. */
  #isHeldUp = false;
  /** Nothing comes after what is held. */
  #isFinishing = false;

  /** `cacheSize`: the most bytes that can be sent again. */
  constructor(stream: ResumableStream, sender: Sender, cacheSize: number, inFlight: InFlight) {
    this.#stream = stream;
    this.#sender = sender;
    this.#cacheSize = cacheSize;
    this.#inFlight = inFlight;
  }

  /** What was sent and cannot go yet. Another that goes on from here is to be given it. */
  get held(): Uint8Array<ArrayBuffer> {
    return this.#held;
  }

  set held(bytes: Uint8Array<ArrayBuffer>) {
    this.#held = bytes;
  }

  /** The most bytes to send at once: no more than a part of what can be sent again. */
  get most(): number {
    return Math.min(LARGEST_READ, this.#inFlight.isBounded ? Math.ceil(this.#cacheSize / 4) : this.#cacheSize);
  }

  /** Whether more may be sent: also while the client is away, one piece, as it may be the end of the backend that is found so. */
  get takesMore(): boolean {
    return this.#held.length === 0 && !this.#isHeldUp && (this.#stream.isReady || !this.#stream.isAttached);
  }

  /** Sends bytes, of which the content is lost; `takesMore` must say so. */
  send(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#isHeldUp || this.#stream.write(bytes) === 0) this.#held = bytes.slice();
    this.#sealed();
  }

  /** Nothing more is sent: the end goes after what is held. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#held.length === 0) this.#stream.closeWrite();
  }

  /** The client takes more, after it did not. */
  writable(): void {
    if (this.#isCrowded()) this.#inFlight.hold(this);
    else this.#goOn();
  }

  /** See `HeldUp`. */
  goOn(): boolean {
    if (!this.#isHeldUp || this.#stream.isEnded) return true;
    if (this.#isCrowded()) return false;
    // Else it goes on when the link has taken what it has not.
    if (this.#stream.isReady) this.#goOn();
    return !this.#isHeldUp;
  }

  /** The client's link is gone, and what was on its way with it. */
  lost(): void {
    this.#isHeldUp = false;
  }

  /** What was held goes first: of one that came back, all that it is sent again is on its way before that. */
  #goOn(): void {
    if (this.#held.length > 0) this.#stream.write(this.#held);
    this.#held = NOTHING;
    this.#sealed();
    if (this.#isFinishing) this.#stream.closeWrite();
    else this.#sender.clientTakesMore();
  }

  #sealed(): void {
    this.#sender.onSealed();
    // One look for that many bytes: it takes a call of the system.
    const isDue = this.#stream.session.sent - this.#lookedAt >= this.most;
    if (isDue && this.#isCrowded()) this.#inFlight.hold(this);
  }

  /**
   * Looks whether so much is on its way to the client that not all could be sent again with what comes until the next look: that is
   * less than two pieces, of a quarter of the cache each.
   */
  #isCrowded(): boolean {
    this.#lookedAt = this.#stream.session.sent;
    return this.#isHeldUp = this.#inFlight.isBounded && this.#stream.unacknowledged() > this.#cacheSize / 2;
  }
}
