import { type Flow, isMovableFlow, letGo, type MovableFlow, type Remains, type Sink } from "../../link/flow.ts";
import { joined } from "../../link/joined.ts";
import { type Link, reasonOf } from "../../link/link.ts";
import { flowOf } from "../../link/pumped_flow.ts";
import type { EndKind } from "../stats.ts";
import { AckWatch } from "./ack_watch.ts";
import { END_REASONS } from "./session_record.ts";

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** What hears of a backend: its session. */
export interface BackendOwner {
  /** Bytes came, which are the owner's until it returns. Gives whether it takes more; if not, it calls `resume` when it does. */
  fromBackend(bytes: Uint8Array<ArrayBuffer>): boolean;
  /** The backend takes more, after it did not. */
  backendTakesMore(): void;
  /** The backend has closed, or broke. Nothing more is told. */
  backendEnded(kind: EndKind, reason: string): void;
}

/** How it is with a backend, as plain data. */
export interface BackendSnapshot {
  /** What it has not got yet. */
  held: Uint8Array<ArrayBuffer>;
  /** It gets no more than that; and it has all, and the end. */
  isEnding: boolean;
  isFed: boolean;
  /** It has ended its direction; and a write has found that it is gone. */
  isEnded: boolean;
  isBroken: boolean;
}

/** The backend of a session: what it is fed is held here until it has taken it. Paused at first. */
export class BackendSide implements Sink {
  readonly #owner: BackendOwner;
  readonly #flow: Flow;
  readonly #acks = new AckWatch();
  /** What it has not taken yet. */
  #held = NOTHING;
  /** It gets no more than what is held. */
  #isEnding = false;
  /** It gets no more. */
  #isFed = false;
  /** It did not take all that it was fed by `feed`. */
  #isAwaited = false;
  #isEnded = false;
  #isClosed = false;
  #isBroken = false;

  /** Owns the link of the backend. */
  constructor(owner: BackendOwner, link: Link) {
    this.#owner = owner;
    this.#flow = flowOf(link);
    this.#flow.sink = this;
  }

  /** The same, of one that was written down, whose link had those `remains`. `writable` is to be called when it may go on. */
  static restore(
    owner: BackendOwner,
    snapshot: BackendSnapshot,
    link: Link,
    { unsent, isEnding }: Remains,
  ): BackendSide {
    const side = new BackendSide(owner, link);
    side.#held = joined(unsent, snapshot.held);
    side.#isEnding = snapshot.isEnding || isEnding;
    side.#isFed = snapshot.isFed && !isEnding;
    [side.#isEnded, side.#isBroken] = [snapshot.isEnded, snapshot.isBroken];
    return side;
  }

  get snapshot(): BackendSnapshot {
    return {
      held: this.#held.slice(),
      isEnding: this.#isEnding,
      isFed: this.#isFed,
      isEnded: this.#isEnded,
      isBroken: this.#isBroken,
    };
  }

  /** Whether another session can go on with it. */
  get isMovable(): boolean {
    return isMovableFlow(this.#flow);
  }

  /** Lets go of it, as another goes on with it: see `snapshot`. It must be movable. */
  leave(): MovableFlow {
    this.#isClosed = this.#isFed = true;
    return letGo(this.#flow as MovableFlow);
  }

  /** Whether bytes wait for it. */
  get isFull(): boolean {
    return this.#held.length > 0;
  }

  /** Whether a write has found that it is gone: what it is fed since then is lost. Its end may still be to come, after what it sent. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Feeds it: what it does not take at once is held. Gives whether it takes more. After its end all is forgotten. */
  take(bytes: Uint8Array<ArrayBuffer>): boolean {
    if (this.#isFed || this.#isEnding) return true;
    const n = this.#write(bytes);
    if (n < bytes.length) this.#held = bytes.slice(n);
    return !this.isFull;
  }

  /** Feeds it, and gives how many bytes it took: what it did not is not held, and to be given again when it takes more. */
  feed(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#isFed) return bytes.length;
    // Of a move: it goes first.
    const n = this.isFull ? 0 : this.#write(bytes);
    this.#isAwaited = n < bytes.length;
    return n;
  }

  /** It gets an end of stream, after what is held. */
  endOfInput(): void {
    if (this.#isFed) return;
    this.#isEnding = true;
    if (this.isFull) return;
    this.#isFed = true;
    this.#flow.closeWrite();
  }

  /** Whether it has all that it was fed, and the end: where not, `backendTakesMore` says when. */
  get isDrained(): boolean {
    return !this.isFull && this.#flow.isDrained;
  }

  /** `most`: the most bytes to be told of at once. */
  resume(most: number): void {
    this.#flow.resume(most);
  }

  /** Ends it when it is gone: see `AckWatch.isGone`. `fed`: how many bytes it was fed, ever. */
  look(fed: number, ackTimeout: number, now: number): void {
    if (this.#isClosed) return;
    // Of one that has ended its direction nothing else would tell that it broke.
    if (this.#isEnded) this.#write(NOTHING);
    if (!this.#acks.isGone(this.#flow, fed, ackTimeout, now)) return;
    this.lost(new Error(`nothing was acknowledged for ${ackTimeout} ms (ack_timeout)`));
  }

  close(): void {
    this.#isClosed = true;
    this.#isFed = true;
    this.#held = NOTHING;
    this.#flow.close();
  }

  /** As `close`, so that it sees a reset. */
  reset(): void {
    this.#flow.reset();
    this.close();
  }

  readable(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#owner.fromBackend(bytes)) this.#flow.pause();
  }

  writable(): void {
    if (this.isFull) this.#feedHeld();
    else if (this.#isAwaited || this.#isFed) {
      this.#isAwaited = false;
      this.#owner.backendTakesMore();
    }
  }

  #feedHeld(): void {
    const n = this.#write(this.#held);
    this.#held = n < this.#held.length ? this.#held.subarray(n) : NOTHING;
    if (this.isFull) return;
    if (this.#isEnding) this.endOfInput();
    this.#owner.backendTakesMore();
  }

  ended(): void {
    this.#isEnded = true;
    this.#owner.backendEnded("upstream_closed", END_REASONS.upstream_closed);
  }

  lost(error: unknown): void {
    this.#owner.backendEnded("upstream_failed", `${END_REASONS.upstream_failed}: ${reasonOf(error)}`);
  }

  /** One that is gone takes everything: when what it sent has been read, or it has ended that, its loss is told. */
  #write(bytes: Uint8Array<ArrayBuffer>): number {
    try {
      return this.#flow.write(bytes);
    } catch (error) {
      this.#isFed = this.#isBroken = true;
      if (this.#isEnded) queueMicrotask(() => this.#isClosed || this.lost(error));
      return bytes.length;
    }
  }
}
