import { LINGER } from "../../../link/link.ts";
import type { EndKind } from "../../stats.ts";
import type { Backend } from "../../upstream/upstream.ts";
import { type BackendOwner, BackendSide, type BackendSnapshot } from "../backend_side.ts";
import { BACKEND_NOT_ALONG, type Brought } from "../move/parting.ts";
import type { MovableFlow } from "../../../link/flow.ts";

/** Bytes that are read at once: what the client has no room for is held. */
const LARGEST_READ = 128 * 1024;

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** What hears of the backend of a session of version 2: the session. */
export interface AckedBackendOwner extends Pick<BackendOwner, "fromBackend" | "backendTakesMore"> {
  /** The backend is there, and paused. */
  backendReached(backend: Backend): void;
  /** None could be had. */
  backendMissed(error: unknown): void;
  /** It has ended its direction, or broken off: see `hasEnded` and `failure`. */
  backendChanged(reason: string): void;
  /** After `end`, which could not do so at once: nothing is left open. */
  backendLeft(): void;
}

/** How it is with the backend of a session of version 2, as plain data. */
export interface AckedBackendSnapshot {
  hasEnded: boolean;
  failure: string | undefined;
  isInputEnded: boolean;
  /** Missing: it is being dialled, or has broken off. */
  side: BackendSnapshot | undefined;
}

/**
 * The backend of a session of version 2, from its dialling to its end. A backend that did not see the end of what its client sends can
 * tell by a reset that it was cut (protocol: Version 2: Ends).
 */
export class AckedBackend implements BackendOwner {
  /** It has ended its direction. */
  hasEnded = false;
  /** It has broken off, and why. */
  failure: string | undefined;
  /** It was told that the client has ended its direction. */
  isInputEnded = false;
  readonly #owner: AckedBackendOwner;
  /** Gives the dialling up; missing when it is over. */
  #dialling: AbortController | undefined;
  #side: BackendSide | undefined;
  /** Tells its host that the session is over. */
  #release: (() => void) | undefined;
  #isOver = false;
  #isLeft = false;
  /** The session is over, and it has some time to close too. */
  #lingering: ReturnType<typeof setTimeout> | undefined;

  constructor(owner: AckedBackendOwner) {
    this.#owner = owner;
  }

  /** Connects to one, which `connect` gives; what it does is told later. */
  dial(connect: (signal: AbortSignal) => Promise<Backend>): void {
    this.#dialling = new AbortController();
    connect(this.#dialling.signal).then(
      (backend) => this.#reached(backend),
      (error) => {
        this.#dialling = undefined;
        if (this.#isLeft) return;
        if (this.#isOver) this.#owner.backendLeft();
        else this.#owner.backendMissed(error);
      },
    );
  }

  /** Goes on with one that was written down, over its connection. */
  restore(
    { hasEnded, failure, isInputEnded, side }: AckedBackendSnapshot,
    brought: Brought<Backend> | undefined,
  ): void {
    this.hasEnded = hasEnded;
    this.failure = side && !brought ? BACKEND_NOT_ALONG : failure;
    this.isInputEnded = isInputEnded;
    if (!side || !brought) return;
    this.#release = brought.what.release;
    this.#side = BackendSide.restore(this, side, brought.what.link, brought.remains);
    this.#side.writable();
  }

  get snapshot(): AckedBackendSnapshot {
    const { hasEnded, failure, isInputEnded } = this;
    return { hasEnded, failure, isInputEnded, side: failure === undefined ? this.#side?.snapshot : undefined };
  }

  /** Whether another session can go on with it, also when there is none. */
  get isMovable(): boolean {
    return !this.#side || this.failure !== undefined || this.#side.isMovable;
  }

  /** Lets go of it, as another session goes on with it: gives its connection, if there is one. */
  leave(): MovableFlow | undefined {
    this.#isLeft = true;
    this.#dialling?.abort("the session goes on elsewhere");
    this.#release?.();
    return this.failure === undefined ? this.#side?.leave() : undefined;
  }

  get isDialling(): boolean {
    return this.#dialling !== undefined;
  }

  /** Whether what it is fed is lost. Its `failure` may be told later, after what it has sent. */
  get isBroken(): boolean {
    return this.failure !== undefined || (this.#side?.isBroken ?? false);
  }

  /** Whether nothing of it is open, after `end`. */
  get isClosed(): boolean {
    return this.#isOver && !this.#dialling && this.#lingering === undefined;
  }

  /** See `StreamUser.take`. `waiting`: how many bytes wait for it, with these; when it is less, these are the last. */
  feed(bytes: Uint8Array<ArrayBuffer>, waiting: number): number {
    if (!this.isBroken) {
      const n = this.#side?.feed(bytes) ?? 0;
      if (!this.isBroken) return n;
    }
    // Thrown away, so that the client can go on to what it is sent; but it must not learn that its last byte was consumed.
    return waiting > bytes.length ? bytes.length : bytes.length - 1;
  }

  /**
   * It gets an end of stream, when it has taken what it was fed. Gives whether it has, as far as is known; where not, `backendTakesMore`
   * says when to call it again.
   */
  endOfInput(): boolean {
    this.#side?.feed(NOTHING); // which tells of one that broke
    if (!this.#side || this.isBroken || this.#side.isFull) return false;
    this.isInputEnded = true;
    this.#side.endOfInput();
    return true;
  }

  /** What it sends is read on. */
  resume(): void {
    if (this.failure === undefined) this.#side?.resume(LARGEST_READ);
  }

  /** See `BackendSide.look`. */
  look(fed: number, ackTimeout: number, now: number): void {
    this.#side?.look(fed, ackTimeout, now);
  }

  /** Ends it as the session is over: to be called once. `isWhole`: it has all of the client's, and no more was to come. */
  end(isWhole: boolean): void {
    this.#isOver = true;
    this.#dialling?.abort("the session has ended");
    if (!this.#side || this.failure !== undefined) return;
    if (!isWhole && !this.isInputEnded) return this.#side.reset();
    this.#side.endOfInput();
    if (this.hasEnded && this.#side.isDrained) return this.#side.close();
    // What it sends is taken and forgotten: else its system would be told of a reset, which can overtake what it was sent.
    this.#lingering = setTimeout(() => this.cutShort(), LINGER);
    if (!this.hasEnded) this.resume();
  }

  /** Closes it at once, where `end` has left it some time. */
  cutShort(): void {
    if (this.#lingering === undefined) return;
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
    this.#side!.close();
    this.#owner.backendLeft();
  }

  /** Its host has one session less. */
  release(): void {
    this.#release?.();
  }

  fromBackend(bytes: Uint8Array<ArrayBuffer>): boolean {
    return this.#isOver || this.#owner.fromBackend(bytes);
  }

  backendTakesMore(): void {
    if (this.#isOver) this.#leaveIfDone();
    else this.#owner.backendTakesMore();
  }

  backendEnded(kind: EndKind, reason: string): void {
    if (kind === "upstream_closed") this.hasEnded = true;
    if (this.#isOver) return kind === "upstream_closed" ? this.#leaveIfDone() : this.cutShort();
    if (kind !== "upstream_closed") {
      this.failure = reason;
      // One that hangs may come back, and find what it was sent.
      if (this.isInputEnded) this.#side!.close();
      else this.#side!.reset();
    }
    this.#owner.backendChanged(reason);
  }

  /** Both directions have ended, and it has what it was sent. */
  #leaveIfDone(): void {
    if (this.hasEnded && this.#side?.isDrained) this.cutShort();
  }

  #reached(backend: Backend): void {
    this.#dialling = undefined;
    if (this.#isLeft) {
      backend.link.close();
      return backend.release();
    }
    this.#release = backend.release;
    this.#side = new BackendSide(this, backend.link);
    if (!this.#isOver) return this.#owner.backendReached(backend);
    this.#side.reset();
    this.#owner.backendLeft();
  }
}
