import type { AckedStream } from "../../link/acked_stream.ts";
import type { FlowingLink } from "../../link/flow.ts";
import { reasonOf } from "../../link/link.ts";
import { ScpError } from "../../scp/error.ts";
import { END } from "../../scp/v2/mod.ts";
import { pause } from "../backoff.ts";
import { type FlowingOptions, HANDSHAKE_TIMEOUT } from "../connection_options.ts";
import { SessionEndedError } from "../session_ended_error.ts";
import { Attempts, isSame, type Seen } from "./attempts.ts";
import { sayGoodbye } from "./goodbye.ts";
import type { LinkWatch } from "./link_watch.ts";
import { outcomeOf } from "./outcome.ts";
import type { ResumeKey } from "./resume_key.ts";
import { requestResume, type ResumeAnswer } from "./resume_request.ts";

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);
/** Milliseconds within which a client that is told to move does. */
const MOVE_WITHIN = 1000;

export interface ResumerOptions {
  stream: AckedStream;
  key: ResumeKey;
  watch: LinkWatch;
  /** Milliseconds that the server keeps a session without a client. */
  reuse: number;
  options: FlowingOptions;
  /** Called when the session is over: with `undefined` when it came to its end in order, else with why. */
  end: (error?: unknown) => void;
}

/**
 * Makes the links of a stream of version 2 after the first: it dials and resumes when there is none; when the one there is is doubted,
 * as the network changed; and when the server wants it to move. That one is kept until another is answered.
 */
export class Resumer {
  readonly #of: ResumerOptions;
  readonly #stream: AckedStream;
  readonly #options: FlowingOptions;
  readonly #random: () => number;
  readonly #attempts: Attempts;
  /** Stops the pause or the attempt that is under way. */
  #interruption = new AbortController();
  #isStopped = false;
  #isResuming = false;
  /** A request was sent that is not answered yet. */
  #isAsking = false;
  /** Why the link there is is to be replaced; and what had come over it when it was doubted, if it is. */
  #reason = "";
  #doubt: Seen | undefined;
  /** Where the server wants it to move, which was not tried yet. */
  #movedTo: string | undefined;
  #moving: ReturnType<typeof setTimeout> | undefined;

  constructor(of: ResumerOptions) {
    this.#of = of;
    this.#stream = of.stream;
    this.#options = of.options;
    const { random = Math.random, giveUpAfter = Infinity } = of.options;
    this.#random = random;
    this.#attempts = new Attempts(Math.min(of.reuse, giveUpAfter));
  }

  /** Goes on over a link; the server has received up to that position. */
  attach(link: FlowingLink, received: number, rest: Uint8Array): void {
    this.#attempts.linked(this.#stream.session);
    this.#of.watch.start();
    this.#stream.attach(link.flow, { first: NOTHING, received, rest });
  }

  /** See `Connection.hurry`. */
  hurry(): void {
    if (this.#isResuming) this.#interruption.abort();
  }

  /** See `Connection.retryNow`. */
  retryNow(): void {
    this.hurry();
    const { received, acked } = this.#stream.session;
    this.#replace("the network may have changed", { received, acked });
  }

  /** The server wants it to go on over another link, at that URL; empty: where it was. */
  moveTo(url: string): void {
    this.#movedTo = url;
    clearTimeout(this.#moving);
    this.#moving = setTimeout(() => this.#replace("the server wants it to move"), this.#random() * MOVE_WITHIN);
  }

  /** To be called when the stream has lost its link. */
  lost(reason: string): void {
    this.#of.watch.stop();
    clearTimeout(this.#moving);
    if (this.#isStopped) return;
    this.#attempts.lost(this.#stream.session);
    this.#options.onLost?.(reason);
    if (this.#isStopped) return;
    if (this.#isDone) return this.#of.end();
    if (!this.#isResuming) void this.#resume(false);
  }

  /** The session is over. */
  stop(): void {
    this.#isStopped = true;
    this.#of.watch.stop();
    clearTimeout(this.#moving);
    this.#interruption.abort();
  }

  /**
   * Ends the session, and says so; `onSaid` is called when that is done. Where there is no link, or a request may have taken its
   * place, it asks for one to say it over: see `sayGoodbye`.
   */
  leave(code: number, onSaid: () => void): void {
    const hasLink = this.#stream.isAttached && !this.#isAsking;
    this.stop();
    if (hasLink) return this.#stream.close(code, "", onSaid);
    this.#stream.detach("");
    void sayGoodbye(this.#stream, code, { key: this.#of.key, dial: this.#options.dial }).then(onSaid);
  }

  /** Whether the end of each direction has reached the other end: there is nothing left to go on for. */
  get #isDone(): boolean {
    const { isSentDone, isReceivedDone } = this.#stream.session;
    return isSentDone && isReceivedDone;
  }

  /** Whether there is a link, over which something came since it was doubted. */
  get #isTrusted(): boolean {
    return this.#stream.isAttached && this.#doubt !== undefined && !isSame(this.#doubt, this.#stream.session);
  }

  /** Another link is to take the place of the one there is, unless that is under way; without a doubt, whatever comes over it. */
  #replace(reason: string, doubt?: Seen): void {
    if (this.#isStopped || this.#isResuming || !this.#stream.isAttached) return;
    this.#reason = reason;
    this.#doubt = doubt;
    this.#attempts.begin();
    void this.#resume(true);
  }

  /** `hurried`: begins without a pause. */
  async #resume(hurried: boolean): Promise<void> {
    this.#isResuming = true;
    for (let attempt = 1;; attempt++) {
      if (!hurried) hurried = await pause(this.#attempts.nextPause(this.#random), this.#interruptible());
      if (hurried) this.#attempts.hurried();
      if (this.#isStopped) return;
      if (this.#isTrusted) break;
      const signal = this.#interruptible();
      try {
        return await this.#tryResume(signal, attempt);
      } catch (error) {
        if (this.#isStopped) return;
        hurried = signal.aborted;
        if (this.#isTrusted || (!hurried && this.#isOver(error))) break;
      }
    }
    this.#isResuming = false;
  }

  async #tryResume(signal: AbortSignal, attempt: number): Promise<void> {
    const { dial, dialUrl, handshakeTimeout = HANDSHAKE_TIMEOUT } = this.#options;
    const elsewhere = this.#movedTo ? dialUrl?.(this.#movedTo) : undefined;
    this.#movedTo = undefined;
    const onLink = () => {
      if (this.#isTrusted) throw new Error("the link there is is well");
      this.#stream.hold();
    };
    const onAsk = () => this.#isAsking = true;
    const { session } = this.#stream;
    const how = { session, key: this.#of.key, dial: elsewhere ?? dial, handshakeTimeout, signal, onLink, onAsk };
    try {
      this.#heard(await requestResume(how), attempt);
    } catch (error) {
      this.#attempts.failed(error, elsewhere !== undefined);
      // The server may have taken it, and the link there was away.
      if (this.#isAsking && !(error instanceof ScpError) && !this.#isStopped) this.#stream.detach(reasonOf(error));
      throw error;
    } finally {
      this.#isAsking = false;
      this.#stream.release();
    }
  }

  /** Whether no further attempt is to be made, after one that failed; and ends the session, when there is no link. */
  #isOver(error: unknown): boolean {
    if (this.#stream.isAttached) return this.#attempts.isTooLong;
    const why = this.#attempts.end;
    if (this.#isDone) this.#of.end();
    else if (why !== undefined) this.#of.end(new SessionEndedError(END.away, `${why}: ${reasonOf(error)}`));
    return this.#isStopped;
  }

  /** Does what the server says, and proves. */
  #heard(answer: ResumeAnswer, attempt: number): void {
    if (!answer.link) return this.#of.end(outcomeOf(answer.end, "", this.#stream.session));
    try {
      this.#takeOver(answer, attempt);
    } catch (error) {
      answer.link.close();
      throw error;
    }
  }

  /** Goes on over a link. Says how many bytes are sent again, and does not wait until they are. */
  #takeOver({ link, received, rest }: ResumeAnswer & { link: FlowingLink }, attempts: number): void {
    if (!this.#isStopped) this.#assertPosition(received);
    if (!this.#isStopped) this.#stream.detach(this.#reason);
    const resent = Math.max(0, this.#stream.session.bytes.sent - received);
    // Before it can be lost again.
    if (!this.#isStopped) this.#options.onResumed?.({ attempts, gap: this.#attempts.gap, resent });
    this.#isResuming = false;
    if (this.#isStopped) link.close();
    else this.attach(link, received, rest);
  }

  /** Ends the session when a server says what cannot be. */
  #assertPosition(received: number): void {
    try {
      this.#stream.session.assertPosition(received);
    } catch (error) {
      this.#of.end(new SessionEndedError(END.protocol, reasonOf(error)));
    }
  }

  /** The signal of the next step of resuming. */
  #interruptible(): AbortSignal {
    this.#interruption = new AbortController();
    return this.#interruption.signal;
  }
}
