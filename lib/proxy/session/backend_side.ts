import type { Flow, Sink } from "../../link/flow.ts";
import { type Link, reasonOf } from "../../link/link.ts";
import { flowOf } from "../../link/pumped_flow.ts";
import type { EndKind } from "../stats.ts";
import { AckWatch } from "./ack_watch.ts";
import { END_REASONS } from "./session_record.ts";

const NOTHING = new Uint8Array(0);

/** What hears of a backend: its session. */
export interface BackendOwner {
  /** Bytes came, which are the owner's until it returns. Gives whether it takes more; if not, it calls `resume` when it does. */
  fromBackend(bytes: Uint8Array<ArrayBuffer>): boolean;
  /** The backend takes more, after it did not. */
  backendTakesMore(): void;
  /** The backend has closed, or broke. Nothing more is told. */
  backendEnded(kind: EndKind, reason: string): void;
}

/** What a backend has not got yet, as plain data. */
export interface BackendSnapshot {
  held: Uint8Array<ArrayBuffer>;
  /** It gets no more than that; and it has all, and the end. */
  isEnding: boolean;
  isFed: boolean;
}

/** The backend of a session: what it is fed is held here until it has taken it. Paused at first. */
export class BackendSide implements Sink {
  readonly #owner: BackendOwner;
  readonly #flow: Flow;
  readonly #acks = new AckWatch();
  /** What it has not taken yet. */
  #held = NOTHING as Uint8Array<ArrayBuffer>;
  /** It gets no more than what is held. */
  #isEnding = false;
  /** It gets no more. */
  #isFed = false;

  /** Owns the link of the backend. `left`: what another had for it, which wrote its `snapshot`. */
  constructor(owner: BackendOwner, link: Link, left?: BackendSnapshot) {
    this.#owner = owner;
    if (left) ({ held: this.#held, isEnding: this.#isEnding, isFed: this.#isFed } = left);
    this.#flow = flowOf(link);
    this.#flow.sink = this;
  }

  get snapshot(): BackendSnapshot {
    return { held: this.#held.slice(), isEnding: this.#isEnding, isFed: this.#isFed };
  }

  /** Whether bytes wait for it. */
  get isFull(): boolean {
    return this.#held.length > 0;
  }

  /** Feeds it: what it does not take at once is held. Gives whether it takes more. After its end all is forgotten. */
  take(bytes: Uint8Array<ArrayBuffer>): boolean {
    if (this.#isFed || this.#isEnding) return true;
    const n = this.#write(bytes);
    if (n < bytes.length) this.#held = bytes.slice(n);
    return !this.isFull;
  }

  /** It gets an end of stream, after what is held. */
  endOfInput(): void {
    if (this.#isFed) return;
    this.#isEnding = true;
    if (this.isFull) return;
    this.#isFed = true;
    this.#flow.closeWrite();
  }

  /** `most`: the most bytes to be told of at once. */
  resume(most: number): void {
    this.#flow.resume(most);
  }

  /** Ends it when it is gone: see `AckWatch.isGone`. `fed`: how many bytes it was fed, ever. */
  look(fed: number, ackTimeout: number, now: number): void {
    if (!this.#acks.isGone(this.#flow, fed, ackTimeout, now)) return;
    this.lost(new Error(`nothing was acknowledged for ${ackTimeout} ms (ack_timeout)`));
  }

  close(): void {
    this.#isFed = true;
    this.#held = NOTHING;
    this.#flow.close();
  }

  readable(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#owner.fromBackend(bytes)) this.#flow.pause();
  }

  writable(): void {
    if (!this.isFull) return;
    const n = this.#write(this.#held);
    this.#held = n < this.#held.length ? this.#held.subarray(n) : NOTHING;
    if (this.isFull) return;
    if (this.#isEnding) this.endOfInput();
    this.#owner.backendTakesMore();
  }

  ended(): void {
    this.#owner.backendEnded("upstream_closed", END_REASONS.upstream_closed);
  }

  lost(error: unknown): void {
    this.#owner.backendEnded("upstream_failed", `${END_REASONS.upstream_failed}: ${reasonOf(error)}`);
  }

  /** One that is gone takes everything: when what it sent has been read, its loss is told. */
  #write(bytes: Uint8Array<ArrayBuffer>): number {
    try {
      return this.#flow.write(bytes);
    } catch {
      this.#isFed = true;
      return bytes.length;
    }
  }
}
