import type { Session } from "../scp/mod.ts";
import { type Flow, isMovableFlow, type LetGo, letGo, type MovableFlow, NOBODY, type Sink } from "./flow.ts";
import { joined } from "./joined.ts";
import { reasonOf } from "./link.ts";

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** What a link brings from its handshake. */
export interface Attachment {
  /** Written before anything of the stream: the answer. */
  first: Uint8Array<ArrayBuffer>[];
  /** The position in the stream from which the peer lacks it. */
  from: number;
  /** Bytes of the stream that came with the handshake. */
  rest: Uint8Array;
  /** The link knows that nothing more will be written, if it is so: another stream has told it. */
  isToldFinished?: boolean;
}

/** How far a stream is with the link that it has, as plain data: another goes on from there over the same connection. */
export interface LinkStanding {
  /** What is to be written before anything of the stream, and the position up to which the link has taken that. */
  first: Uint8Array<ArrayBuffer>;
  written: number;
  isToldFinished: boolean;
}

/** Hears why a link was lost, and whether it was an end of stream: the other end, or what stands between, closed it. */
export type OnLost = (reason: string, endOfStream: boolean) => void;

/**
 * A stream of bytes over links that come and go: one end of a session, the proxy's or the client's. It is used as a flow that
 * does not break: while no link is attached, it tells nothing and takes nothing.
 *
 * The rules that keep every byte (protocol: What a correct proxy must get right, 1 to 4) are kept here. What a link brings is
 * opened, and so counted, as long as it is attached, and forgotten as soon as it is not: the peer sends it again. What is written
 * is sealed, and so counted and cached, only when a link is there to take it, and is sent from the cache: in order, one after
 * another, and again over the next link. So a link can be taken away between any two events.
 */
export class ResumableStream implements Flow, Sink {
  readonly session: Session;
  sink: Sink = NOBODY;
  readonly #onLost: OnLost;
  #flow: Flow | undefined;
  #first: Uint8Array<ArrayBuffer>[] = [];
  #rest = NOTHING as Uint8Array;
  /** The position up to which the link has taken the stream. */
  #written = 0;
  #most = 0;
  #isPaused = true;
  /** See `hold`. */
  #isHeld = false;
  /** Its sink is to be told when it takes something again. */
  #isAwaited = true;
  /** Nothing more will be written; and the link knows. */
  #isFinished = false;
  #isToldFinished = false;
  #isEnded = false;

  /** `onLost` is called each time the attached link is lost, or taken away; not when the stream ends. */
  constructor(session: Session, onLost: OnLost) {
    this.session = session;
    this.#onLost = onLost;
  }

  /** Whether a link is there. */
  get isAttached(): boolean {
    return this.#flow !== undefined;
  }

  /** Whether a link is there that has taken all that was written. */
  get isReady(): boolean {
    return this.#flow !== undefined && this.#first.length === 0 && this.#written === this.session.sent;
  }

  /** Whether the link has taken what it brought to be written first. */
  get isAnswered(): boolean {
    return this.#first.length === 0;
  }

  /** Whether `closeWrite` was called. */
  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Whether `close` was called. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Whether nobody wants bytes: some may wait in the link. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /**
   * Takes nothing from the link any more, so that `received` is final, but goes on to write to it: while another one is made to
   * take its place. Ends with that, or with `release`. What comes meanwhile is told after it, also the end.
   */
  hold(): void {
    this.#isHeld = this.isAttached;
    this.#flow?.pause();
  }

  /** Goes on with the link that is held, if one is. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (!this.#isPaused) this.resume(this.#most);
  }

  /** Takes the link away, if there is one: the session's counters are final then. */
  detach(reason: string): void {
    if (this.#flow) this.#lose(reason);
  }

  /** Whether another stream can go on over the link that there is, if any. */
  get isMovable(): boolean {
    return !this.#flow || isMovableFlow(this.#flow);
  }

  /** See `MovableFlow`, of the link that there is, if any. */
  get sharesSocket(): boolean {
    return (this.#flow as MovableFlow | undefined)?.sharesSocket ?? false;
  }

  /** How it is with the link that there is. */
  get standing(): LinkStanding | undefined {
    if (!this.#flow) return undefined;
    return { first: joined(...this.#first), written: this.#written, isToldFinished: this.#isToldFinished };
  }

  /** Takes the link away, if there is one, and leaves it open: it is the caller's. */
  putAside(reason: string): Flow | undefined {
    if (!this.#flow) return undefined;
    const flow = letGo(this.#flow);
    this.#forgetLink();
    this.#onLost(reason, false);
    return flow;
  }

  /** Ends the stream here, as it goes on elsewhere: lets go of the link, if there is one. See `standing`. */
  leave(): LetGo | undefined {
    const [flow, rest] = [this.#flow, this.#rest];
    if (flow) letGo(flow);
    this.#flow = undefined;
    this.close();
    return flow && { flow, rest };
  }

  /** Goes on over `flow`, which the stream owns from now on. There must be no other, and the stream must not have ended. */
  attach(flow: Flow, { first, from, rest, isToldFinished = false }: Attachment): void {
    flow.sink = this;
    this.#flow = flow;
    this.#first = first;
    this.#written = from;
    // An empty part of it would keep the whole buffer of the handshake.
    this.#rest = rest.length > 0 ? rest : NOTHING;
    this.#isToldFinished = isToldFinished;
    // What came already counts, also when the link is broken by now.
    if (!this.#isPaused) this.resume(this.#most);
    this.#flush();
    if (this.#isAwaited && this.isReady) queueMicrotask(() => this.#tellReady());
  }

  /**
   * Seals the bytes, all of them or none, in place, and has them sent: their content is lost. At most as many as the resend cache
   * holds. None are taken while a link is missing or has not taken those before.
   */
  write(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#isEnded) throw new Error("Cannot write: the stream has ended");
    if (!this.isReady) {
      this.#isAwaited = true;
      return 0;
    }
    this.session.seal(bytes);
    // In one piece, which the cache, a ring, may not have.
    this.#flush(bytes);
    this.#isAwaited = !this.isReady;
    return bytes.length;
  }

  /** No more will be written: ends our direction of this link, and of each that is attached, after what it lacks is sent. */
  closeWrite(): void {
    this.#isFinished = true;
    if (this.#flow) this.#flush();
  }

  get isDrained(): boolean {
    return this.isReady && this.#isToldFinished === this.#isFinished && this.#flow!.isDrained;
  }

  pause(): void {
    this.#isPaused = true;
    this.#flow?.pause();
  }

  resume(most: number): void {
    this.#isPaused = false;
    this.#most = most;
    if (this.#isHeld) return;
    if (this.#rest.length > 0) queueMicrotask(() => this.#tellRest());
    else this.#flow?.resume(most);
  }

  /** Looks whether the link broke while nothing was read from it, of which nothing else would tell: to be called now and then. */
  look(): void {
    if (!this.#isPaused) return;
    try {
      this.#flow?.write(NOTHING);
    } catch (error) {
      this.#lose(reasonOf(error));
    }
  }

  unacknowledged(): number {
    if (!this.#flow) return 0;
    let waiting = this.session.sent - this.#written;
    // Bytes of the stream may be among these, after a move.
    for (const { length } of this.#first) waiting += length;
    return waiting + this.#flow.unacknowledged();
  }

  silence(): number {
    return this.#flow?.silence() ?? 0;
  }

  /** Ends the stream with the link it has. */
  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#flow?.close();
    this.#flow = undefined;
    this.#first = [];
    this.#rest = NOTHING;
  }

  reset(): void {
    this.#flow?.reset();
    this.close();
  }

  readable(bytes: Uint8Array<ArrayBuffer>): void {
    this.session.open(bytes);
    this.sink.readable(bytes);
  }

  writable(): void {
    this.look();
    if (!this.#flow) return;
    this.#flush();
    this.#tellReady();
  }

  ended(): void {
    this.#lose("closed by the peer", true);
  }

  lost(error: unknown): void {
    this.#lose(reasonOf(error));
  }

  #tellReady(): void {
    if (!this.#isAwaited || !this.isReady) return;
    this.#isAwaited = false;
    this.sink.writable();
  }

  /** What came with the handshake goes first, in pieces that the sink wants. */
  #tellRest(): void {
    while (this.#rest.length > 0 && !this.#isPaused && !this.#isHeld) {
      const part = this.#rest.slice(0, this.#most);
      this.#rest = part.length < this.#rest.length ? this.#rest.subarray(part.length) : NOTHING;
      this.readable(part);
    }
    if (!this.#isPaused && !this.#isHeld) this.#flow?.resume(this.#most);
  }

  /** Has the link take what it will. `next`: what was sealed last, when all before it is taken. */
  #flush(next = NOTHING): void {
    const flow = this.#flow!;
    try {
      while (this.#first.length > 0) {
        const bytes = this.#first[0]!;
        const n = flow.write(bytes);
        if (n < bytes.length) return void (this.#first[0] = bytes.subarray(n));
        this.#first.shift();
      }
      while (this.#written < this.session.sent) {
        const bytes = next.length > 0 ? next : this.session.sealedFrom(this.#written);
        next = NOTHING;
        const n = flow.write(bytes);
        this.#written += n;
        if (n < bytes.length) return;
      }
    } catch (error) {
      // Else its loss is told, after what came before.
      if (this.#isPaused) this.#lose(reasonOf(error));
      return;
    }
    if (!this.#isFinished || this.#isToldFinished) return;
    this.#isToldFinished = true;
    flow.closeWrite();
  }

  #lose(reason: string, endOfStream = false): void {
    this.#flow!.close();
    this.#forgetLink();
    this.#onLost(reason, endOfStream);
  }

  #forgetLink(): void {
    this.#flow = undefined;
    this.#isHeld = false;
    this.#rest = NOTHING;
    this.#isAwaited = true;
  }
}
