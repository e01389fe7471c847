import {
  type AckedSession,
  type Consumer,
  FrameError,
  Liveness,
  type LivenessOptions,
  type LivenessSnapshot,
} from "../scp/v2/mod.ts";
import { Farewell } from "./farewell.ts";
import { type Flow, isMovableFlow, type LetGo, letGo, type MovableFlow, type Sink } from "./flow.ts";
import { reasonOf } from "./link.ts";

/** Bytes that are read at once: those of a window, which come together, are one read, one write, and one ACK. */
const LARGEST_READ = 256 * 1024;

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/**
 * What uses a stream of version 2: an end of a session. Nothing is told while a call of the stream is under way. What it takes is
 * consumed; the rest waits until `takeMore` is called.
 */
export interface StreamUser extends Consumer {
  /** The peer has ended its direction, and all of it was taken. Gives whether the end is taken too: if not, it is asked again as for bytes. */
  ended(): boolean;
  /** Something came: more may be acknowledged or consumed, and so there may be room again, or what waits may have grown. */
  changed(): void;
  /** The link is gone, and why. */
  lost(reason: string): void;
  /** The peer has ended the session, see `END`: the stream is closed. */
  closed(code: number, reason: string): void;
  /** The peer broke the protocol: the session is to be ended. */
  failed(reason: string): void;
  /** The peer wants this end to resume over another link, at that URL; empty: at the same. */
  moved(url: string): void;
}

/** What a link brings from its handshake. */
export interface AckedAttachment {
  /** Written before anything else: the answer; or nothing. */
  first: Uint8Array<ArrayBuffer>;
  /** The position in the stream up to which the peer has received it. */
  received: number;
  /** Bytes of frames that came with the handshake. */
  rest: Uint8Array;
}

/** How a stream is with the link that it has, beside its session, as plain data: another goes on from there over the same connection. */
export interface AckedLinkStanding {
  /** Bytes of the answer that the link has not taken; below 0: of what came after it. */
  unanswered: number;
  liveness: LivenessSnapshot;
}

export interface AckedStreamOptions {
  liveness: LivenessOptions;
  /** Calls back when what else happens now has happened: what is to be said until then goes together. */
  soon: (callback: () => void) => void;
}

/**
 * A stream of bytes each way over links that come and go: one end of a session of version 2, the proxy's or the client's. What it
 * brings is always read, and what its user does not take waits in the session's window; what is written is kept there until it is
 * acknowledged, and goes over the next link too. So a link can be taken away between any two events.
 */
export class AckedStream implements Sink {
  readonly session: AckedSession;
  readonly #user: StreamUser;
  readonly #livenessOptions: LivenessOptions;
  readonly #soon: AckedStreamOptions["soon"];
  #flow: Flow | undefined;
  #rest = NOTHING as Uint8Array;
  #liveness: Liveness;
  /** What happened since that was told last: it lies elsewhere in memory, which each message would have to fetch. */
  #isHeard = false;
  #isSaid = false;
  /** Bytes of the answer that the link has not taken. */
  #unanswered = 0;
  /** The link takes nothing now. */
  #isBlocked = false;
  #isFlushComing = false;
  #isHeld = false;
  /** At the last look it seemed to be lost. */
  #isDoubted = false;
  #isEnded = false;
  #farewell: Farewell | undefined;

  /** `session`: one that is attached to nothing yet. */
  constructor(session: AckedSession, user: StreamUser, { liveness, soon }: AckedStreamOptions) {
    this.session = session;
    this.#user = user;
    this.#livenessOptions = liveness;
    this.#soon = soon;
    this.#liveness = new Liveness(liveness, performance.now());
  }

  /** Whether a link is there. */
  get isAttached(): boolean {
    return this.#flow !== undefined;
  }

  /** Whether the link has taken what it brought to be written first. */
  get isAnswered(): boolean {
    return this.#unanswered <= 0;
  }

  /** Whether the session is over here. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Goes on over `flow`, which the stream owns from now on. There must be no other, and the stream must not have ended. */
  attach(flow: Flow, { first, received, rest }: AckedAttachment): void {
    flow.sink = this;
    this.#flow = flow;
    this.#liveness = new Liveness(this.#livenessOptions, performance.now());
    this.#isBlocked =
      this.#isDoubted =
      this.#isHeard =
      this.#isSaid =
        false;
    this.#unanswered = first.length;
    this.session.attach(received, first);
    if (rest.length === 0) flow.resume(LARGEST_READ);
    else {
      this.#rest = rest;
      queueMicrotask(() => this.#tellRest());
    }
    this.#flush();
  }

  /**
   * Goes on over `flow`, which the stream owns from now on, in the middle of whatever another was doing there: that wrote down its
   * session, and its `standing`. `unsent`: bytes that it has written, and that were not sent.
   */
  goOn(flow: Flow, { unanswered, liveness }: AckedLinkStanding, unsent: Uint8Array): void {
    flow.sink = this;
    this.#flow = flow;
    this.#liveness = Liveness.restore(this.#livenessOptions, performance.now(), liveness);
    this.#unanswered = unanswered + unsent.length;
    this.session.writeAgain(unsent);
    flow.resume(LARGEST_READ);
    this.#flush();
  }

  /** Whether another stream can go on over the link that there is, if any. */
  get isMovable(): boolean {
    return !this.#flow || isMovableFlow(this.#flow);
  }

  /** See `MovableFlow`, of the link that there is, if any. */
  get isCarriedOn(): boolean {
    return (this.#flow as MovableFlow | undefined)?.isCarriedOn ?? false;
  }

  /** See `MovableFlow`, of the link that there is, if any. */
  get sharesSocket(): boolean {
    return (this.#flow as MovableFlow | undefined)?.sharesSocket ?? false;
  }

  /** How it is with the link that there is. */
  get standing(): AckedLinkStanding | undefined {
    if (!this.#flow) return undefined;
    this.#tellLiveness();
    return { unanswered: this.#unanswered, liveness: this.#liveness.snapshotAt(performance.now()) };
  }

  /** Takes the link away, if there is one, and leaves it open: it is the caller's. */
  putAside(reason: string): Flow | undefined {
    if (!this.#flow) return undefined;
    const flow = letGo(this.#flow);
    this.#forgetLink();
    this.#user.lost(reason);
    return flow;
  }

  /** Ends the stream here, as it goes on elsewhere: lets go of the link, if there is one. See `standing`. */
  leave(): LetGo | undefined {
    const [flow, rest] = [this.#flow, this.#rest];
    this.#isEnded = true;
    this.#forgetLink();
    return flow && { flow: letGo(flow), rest };
  }

  /** Takes the link away, if there is one. */
  detach(reason: string): void {
    if (this.#flow) this.#lose(reason);
  }

  /** Takes nothing from the link any more, so that what was received is final, but goes on to write to it. */
  hold(): void {
    this.#isHeld = this.isAttached;
    this.#flow?.pause();
  }

  /** Goes on with the link that is held, if one is. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#flow?.resume(LARGEST_READ);
  }

  /** Sends as many of these bytes as there is room for, and gives how many: their content is lost. */
  write(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#isEnded) throw new Error("Cannot write: the session has ended");
    const n = Math.min(bytes.length, this.session.room);
    if (n === 0) return 0;
    this.session.send(n < bytes.length ? bytes.subarray(0, n) : bytes);
    this.#flush();
    return n;
  }

  /** Ends this end's direction, after what was written. */
  finish(): void {
    this.session.finish();
    this.#flush();
  }

  /** The user takes more, after it did not. */
  takeMore(): void {
    if (this.#isEnded) return;
    this.session.drain(this.#user);
    this.#consumed();
  }

  /** Tells the client to move: see `StreamUser.moved`. Gives whether there is a link to say it over. */
  move(url: string): boolean {
    if (!this.#flow) return false;
    this.session.sayMove(url);
    this.#flush();
    return true;
  }

  /** Ends the session, and says so over the link, if there is one; `onClosed` is called when that is closed too. */
  close(code: number, reason: string, onClosed: () => void = () => {}): void {
    const isOver = this.#isEnded;
    this.#isEnded = true;
    const flow = this.#flow;
    this.#flow = undefined;
    this.#rest = NOTHING;
    if (isOver || !flow) return onClosed();
    this.session.sayClose(code, reason);
    this.#farewell = new Farewell(flow, this.session, onClosed);
  }

  /** Ends it at once, without a word. */
  abort(): void {
    this.#isEnded = true;
    this.#flow?.close();
    this.#flow = undefined;
    this.#rest = NOTHING;
    this.#farewell?.close();
  }

  /** Looks whether the link is alive, and what is to be said: to be called about once a second. `now`: `performance.now()`. */
  look(now: number): void {
    this.session.trim();
    if (!this.#flow) return;
    const { owesAck, sent, acked, received } = this.session;
    this.#tellLiveness();
    const duty = this.#liveness.look(now, { owesAck, isUnacked: sent > acked, received });
    // What came while this end could not look, as a machine that slept, is to be read first.
    const wasDoubted = this.#isDoubted;
    this.#isDoubted = duty === "lost";
    if (duty === "lost" && wasDoubted) {
      return this.#lose(`nothing was heard for ${this.#livenessOptions.pingTimeout} ms after a PING (ping_timeout)`);
    }
    if (duty === "ping") this.session.sayPing();
    else if (duty === "ack") this.session.sayAck();
    else return;
    this.#flush();
  }

  readable(bytes: Uint8Array<ArrayBuffer>): void {
    this.#isHeard = true;
    try {
      this.session.receive(bytes, this.#user);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      return this.#user.failed(error.message);
    }
    this.#consumed();
    this.#hear();
  }

  writable(): void {
    this.#isBlocked = false;
    this.#flush();
  }

  ended(): void {
    this.#lose("closed by the peer");
  }

  lost(error: unknown): void {
    this.#lose(reasonOf(error));
  }

  #tellLiveness(): void {
    if (this.#isHeard) this.#liveness.heard();
    if (this.#isSaid) this.#liveness.said();
    this.#isHeard = this.#isSaid = false;
  }

  /** What came with the handshake goes first. */
  #tellRest(): void {
    const rest = this.#rest;
    this.#rest = NOTHING;
    if (rest.length === 0) return;
    this.readable(rest.slice());
    if (!this.#isHeld) this.#flow?.resume(LARGEST_READ);
  }

  /** The user has taken something: it may be all, and an ACK may be due. */
  #consumed(): void {
    if (this.session.isAtEnd && this.#user.ended()) this.session.consumeEnd();
    this.#user.changed();
    if (this.session.isDue) this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#isFlushComing) return;
    this.#isFlushComing = true;
    this.#soon(() => {
      this.#isFlushComing = false;
      this.#flush();
    });
  }

  /** Whether the peer has said that the session is over, or is to go on elsewhere. */
  #hear(): void {
    if (this.#isEnded) return;
    const { closed } = this.session;
    if (closed) {
      this.abort();
      return this.#user.closed(closed.code, closed.reason);
    }
    const url = this.session.takeMove();
    if (url !== undefined) this.#user.moved(url);
  }

  /** Has the link take what it will. */
  #flush(): void {
    const flow = this.#flow;
    if (!flow || this.#isBlocked) return;
    try {
      for (let bytes = this.session.wire; bytes.length > 0; bytes = this.session.wire) {
        const n = flow.write(bytes);
        this.session.wrote(n);
        this.#unanswered -= n;
        if (n > 0) this.#isSaid = true;
        if (n < bytes.length) {
          this.#isBlocked = true;
          break;
        }
        if (!this.session.isDue) break;
      }
    } catch {
      // Its loss is told, after what came before: it is read all the time.
      this.#isBlocked = true;
    }
  }

  #lose(reason: string): void {
    this.#flow!.close();
    this.#forgetLink();
    this.#user.lost(reason);
  }

  #forgetLink(): void {
    this.#flow = undefined;
    this.#isHeld = false;
    this.#rest = NOTHING;
  }
}
