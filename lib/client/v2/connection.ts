import { AckedStream, type StreamUser } from "../../link/acked_stream.ts";
import { END } from "../../scp/v2/mod.ts";
import type { Bytes, Connection } from "../connection.ts";
import type { FlowingOptions } from "../connection_options.ts";
import { SessionEndedError } from "../session_ended_error.ts";
import { GOODBYE } from "./goodbye.ts";
import { LinkWatch } from "./link_watch.ts";
import type { Opened } from "./opening.ts";
import { outcomeOf } from "./outcome.ts";
import { Resumer } from "./resumer.ts";

/** See `ConnectionOptions`. */
const PING_INTERVAL = 15_000;
const PING_TIMEOUT = 10_000;

/** Browsers refuse to be asked by way of another object. */
const soon = (callback: () => void) => queueMicrotask(callback);

interface Pending<T> {
  bytes: Uint8Array<ArrayBuffer>;
  /** How many of these are written. */
  written: number;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
}

/**
 * The client's end of a session of version 2. What comes is taken from the link whether somebody reads or not, as much as the window
 * holds, so a loss is noticed in any case; what came before the session ended, but by `close`, can be read after that. Once it was lost,
 * reads and writes reject with a `SessionEndedError`.
 */
export class Version2Connection implements Connection {
  readonly version = 2;
  readonly #options: FlowingOptions;
  readonly #stream: AckedStream;
  readonly #resumer: Resumer;
  #reading: Pending<number | null> | undefined;
  #writing: Pending<number> | undefined;
  /** Nothing more is to be written. */
  #isFinishing = false;
  /** It was ended at this end: what came is given to nobody. */
  #isLeft = false;
  #leaving: ReturnType<typeof setTimeout> | undefined;
  /** The session is over; an `error` says that it was not in order. */
  #outcome: { error: unknown } | undefined;

  /** Owns the link. */
  constructor({ session, terms, key, link, rest }: Opened, options: FlowingOptions) {
    this.#options = options;
    const { pingInterval = PING_INTERVAL, pingTimeout = PING_TIMEOUT } = options;
    const intervals = [pingInterval, terms.ping].filter((ms) => ms > 0);
    const liveness = { pingInterval: intervals.length > 0 ? Math.min(...intervals) : 0, pingTimeout };
    this.#stream = new AckedStream(session, this.#user(), { liveness, soon });
    this.#resumer = new Resumer({
      stream: this.#stream,
      key,
      watch: new LinkWatch(this.#stream, liveness),
      reuse: terms.reuse,
      options,
      end: (error) => {
        this.#stream.abort();
        this.#ended(error);
      },
    });
    this.#resumer.attach(link, 0, rest);
  }

  get id(): number {
    return this.#stream.session.id;
  }

  get bytes(): Bytes {
    return this.#stream.session.bytes;
  }

  /** As a link's; `null`: the other end has ended its direction, which was read to its end. */
  read(buffer: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#reading = { bytes: buffer as Uint8Array<ArrayBuffer>, written: 0, resolve, reject };
      this.#deliver();
    });
  }

  /** Settles when there was room for all of `bytes`: in the cache, and in what the other end holds. */
  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#outcome) return reject(whyNot(this.#outcome.error));
      if (this.#isFinishing) return reject(new Error("Cannot write: this direction has ended"));
      this.#writing = { bytes: bytes as Uint8Array<ArrayBuffer>, written: 0, resolve, reject };
      this.#send();
    });
  }

  /** Ends this end's direction, after what was written; reading goes on. Does not wait until the other end knows. */
  closeWrite(): Promise<void> {
    if (this.#outcome) {
      return this.#outcome.error === undefined ? Promise.resolve() : Promise.reject(this.#outcome.error);
    }
    this.#finish();
    return Promise.resolve();
  }

  /**
   * Ends the session at both ends, at once. In order, when all that was written has been consumed at the other end; otherwise, and
   * with an `error`, that end learns that it was not, and a backend sees a reset: `closeWrite` first, and read to the end, where
   * everything is to arrive. Without a link it resumes once more, within 5 seconds, to say so. Where both directions have ended it
   * waits as long for the other end to know that.
   */
  close(error?: unknown): void {
    if (error !== undefined) return this.#leave(END.gaveUp, error);
    if (this.#isFinishing && this.#stream.session.isReceivedDone) this.#leaveLater();
    else this.#leaveInOrder();
  }

  reset(): void {
    this.#leave(END.gaveUp);
  }

  hurry(): void {
    this.#resumer.hurry();
  }

  /** What was under way over the link that is replaced is sent again. */
  retryNow(): void {
    this.#resumer.retryNow();
  }

  cut(): void {
    this.#stream.detach("cut");
  }

  /** What the stream has to tell. */
  #user(): StreamUser {
    return {
      take: (bytes) => this.#take(bytes),
      ended: () => this.#takeEnd(),
      changed: () => this.#send(),
      lost: (reason) => this.#resumer.lost(reason),
      closed: (code, reason) => this.#ended(outcomeOf(code, reason, this.#stream.session)),
      failed: (reason) => this.#leave(END.protocol, new SessionEndedError(END.protocol, reason)),
      moved: (url) => this.#resumer.moveTo(url),
    };
  }

  #take(bytes: Uint8Array<ArrayBuffer>): number {
    const reading = this.#reading;
    if (!reading) return 0;
    this.#reading = undefined;
    const part = bytes.subarray(0, reading.bytes.length);
    reading.bytes.set(part);
    reading.resolve(part.length);
    return part.length;
  }

  #takeEnd(): boolean {
    const reading = this.#reading;
    if (!reading) return false;
    this.#reading = undefined;
    if (!this.#options.allowHalfOpen) this.#finish();
    reading.resolve(null);
    return true;
  }

  /** Gives who reads what there is, or says that nothing more comes. */
  #deliver(): void {
    const { session, isEnded } = this.#stream;
    if (this.#reading && !this.#isLeft) {
      if (isEnded) session.drain({ take: (bytes) => this.#take(bytes) });
      else this.#stream.takeMore();
    }
    const reading = this.#reading;
    const isAtEnd = session.isReceivedDone || (isEnded && session.isAtEnd);
    if (!reading || !(this.#outcome || isAtEnd)) return;
    this.#reading = undefined;
    const error = this.#isLeft || !isAtEnd ? this.#outcome?.error : undefined;
    if (error === undefined) reading.resolve(null);
    else reading.reject(error);
  }

  /** Writes what there is room for. */
  #send(): void {
    const writing = this.#writing;
    if (!writing) return;
    writing.written += this.#stream.write(writing.bytes.subarray(writing.written));
    if (writing.written < writing.bytes.length) return;
    this.#writing = undefined;
    writing.resolve(writing.written);
    if (this.#isFinishing) this.#stream.finish();
  }

  #finish(): void {
    this.#isFinishing = true;
    if (!this.#writing) this.#stream.finish();
  }

  /** Both directions have ended: the other end will say so, when it has all. */
  #leaveLater(): void {
    if (!this.#outcome) this.#leaving ??= setTimeout(() => this.#leaveInOrder(), GOODBYE);
  }

  /** The application is done, and says so; whether all that was written has been consumed. */
  #leaveInOrder(): void {
    const { acked, sent } = this.#stream.session;
    this.#leave(acked === sent ? END.done : END.gaveUp);
  }

  /** Ends the session at this end. */
  #leave(code: number, error?: unknown): void {
    if (this.#outcome) return;
    this.#isLeft = code !== END.protocol;
    this.#settle(error);
    this.#resumer.leave(code, () => this.#options.onClosed?.(error));
  }

  /** The session is over, and the stream as well. */
  #ended(error: unknown): void {
    if (this.#outcome) return;
    this.#resumer.stop();
    this.#settle(error);
    this.#options.onClosed?.(error);
  }

  #settle(error: unknown): void {
    clearTimeout(this.#leaving);
    this.#outcome = { error };
    const writing = this.#writing;
    this.#writing = undefined;
    writing?.reject(whyNot(error));
    this.#deliver();
  }
}

/** Why a write to a session fails that has ended so. */
function whyNot(error: unknown): unknown {
  return error === undefined ? new Error("Cannot write: the session has ended") : error;
}
