import type { FlowingLink } from "../../link/flow.ts";
import { reasonOf } from "../../link/link.ts";
import type { ResumableStream } from "../../link/resumable.ts";
import { resumeRecord } from "../../scp/handshake.ts";
import { ScpError } from "../../scp/error.ts";
import { parseResumeAnswer } from "../../scp/message.ts";
import { pause } from "../backoff.ts";
import { CACHE_SIZE, type FlowingOptions, SILENCE } from "../connection_options.ts";
import { exchange } from "../exchange.ts";
import { LinkHistory } from "./link_history.ts";
import { SilenceWatch } from "./silence_watch.ts";

/** The answers after which no further attempt can succeed. */
const FINAL = new Set([400, 401, 404, 406]);

/** See `ConnectionOptions.giveUpAfter`. */
const GIVE_UP_AFTER = 60_000;

/**
 * Makes the links of a stream of version 1 after the first: it dials and resumes when there is none, or when the one there is is doubted, for
 * its silence or as the network changed. That one is kept until another is answered, or something comes over it after all: it may
 * be well, and no other to be had.
 */
export class Resumer {
  /** Watches the link there is. */
  readonly silence: SilenceWatch;
  readonly #stream: ResumableStream;
  readonly #options: FlowingOptions;
  readonly #end: (error?: unknown) => void;
  readonly #history = new LinkHistory();
  /** Stops the pause or the attempt that is under way. */
  #interruption = new AbortController();
  #isStopped = false;
  #isResuming = false;
  /** Why the link there is is doubted, and what had been received then. */
  #doubt = { reason: "", received: 0 };
  /** The last loss was an end of stream, after which nothing was tried yet. */
  #isAfterEnd = false;
  #lostAt = 0;

  /** `end` is called when the session is over: with `undefined` when it came to its end in order, else with why. */
  constructor(stream: ResumableStream, options: FlowingOptions, end: (error?: unknown) => void) {
    this.#stream = stream;
    this.#options = options;
    this.#end = end;
    const { silence = SILENCE, cacheSize = CACHE_SIZE } = options;
    const onSilent = (ms: number) => this.replace(`nothing came for ${ms} ms, though something was sent (silence)`);
    this.silence = new SilenceWatch(stream, { silence, cacheSize, onSilent });
  }

  /** Tries at once, with the shortest pauses from now on, when it pauses or waits for an answer. */
  hurry(): void {
    if (this.#isResuming) this.#interruption.abort();
  }

  /** The session is over. */
  stop(): void {
    this.#isStopped = true;
    this.silence.stop();
    this.#interruption.abort();
  }

  /** To be called when the stream has lost its link. */
  lost(reason: string, endOfStream: boolean): void {
    this.silence.stop();
    this.#isAfterEnd = endOfStream;
    this.#lostAt = performance.now();
    this.#options.onLost?.(reason);
    const lived = this.#history.hasLived(this.#stream.session);
    if (endOfStream && (this.#stream.isFinished || this.#history.isTheEnd(this.#stream.session))) return this.#end();
    if (lived) this.#history.goesOn();
    if (this.#isResuming) return;
    // Resumes that die at once are no more than attempts that fail.
    if (this.#history.hasPaused && this.#isTooLong()) return this.#giveUp(reason);
    void this.#resume();
  }

  /** Another link is to take the place of the one there is, for that reason; unless that is under way. */
  replace(reason: string): void {
    if (this.#isResuming) return;
    this.silence.stop();
    this.#doubt = { reason, received: this.#stream.session.received };
    void this.#resume(true);
  }

  /** Whether there is a link, over which something came since it was doubted. */
  get #isTrusted(): boolean {
    return this.#stream.isAttached && this.#stream.session.received !== this.#doubt.received;
  }

  /** The link that was doubted stays. */
  #keep(): void {
    this.#isResuming = false;
    this.silence.watch();
  }

  /** `hurried`: begins without a pause. */
  async #resume(hurried = false): Promise<void> {
    const { random = Math.random } = this.#options;
    this.#isResuming = true;
    for (let attempt = 1; !this.#isStopped; attempt++) {
      if (!hurried) hurried = await pause(this.#history.nextPause(random), this.#interruptible());
      if (hurried) this.#history.goesOn();
      if (this.#isStopped) return;
      if (this.#isTrusted) return this.#keep();
      const signal = this.#interruptible();
      try {
        return await this.#tryResume(signal, attempt);
      } catch (error) {
        if (this.#isTrusted) return this.#keep();
        if (error instanceof ScpError && FINAL.has(error.code)) {
          return this.#end(this.#isToldEnd(error) ? undefined : error);
        }
        this.#isAfterEnd = false;
        hurried = signal.aborted;
        if (!hurried && this.#isTooLong()) {
          return this.#stream.isAttached ? this.#keep() : this.#giveUp(reasonOf(error));
        }
      }
    }
  }

  /** Whether a refusal says that the session has come to its end in order: see `ConnectionOptions.serverForgets`. */
  #isToldEnd({ code }: ScpError): boolean {
    return code === 404 && this.#isAfterEnd && (this.#options.serverForgets ?? false);
  }

  #isTooLong(): boolean {
    return this.#history.away > (this.#options.giveUpAfter ?? GIVE_UP_AFTER);
  }

  #giveUp(reason: string): void {
    this.#end(new Error(`gave up after ${this.#options.giveUpAfter ?? GIVE_UP_AFTER} ms: ${reason}`));
  }

  /** The signal of the next step of resuming. */
  #interruptible(): AbortSignal {
    this.#interruption = new AbortController();
    return this.#interruption.signal;
  }

  async #tryResume(signal: AbortSignal, attempts: number): Promise<void> {
    const record = () => {
      if (this.#isTrusted) throw new Error("the link there is is well");
      this.#stream.hold();
      return resumeRecord(this.#stream.session.nextResume());
    };
    try {
      const { link, content, rest } = await exchange(record, this.#options, signal);
      try {
        this.#takeOver(link, { content, rest, attempts });
      } catch (error) {
        link.close();
        throw error;
      }
    } finally {
      this.#stream.release();
    }
  }

  /** Goes on over a link whose handshake is through. Says how many bytes are sent again, and does not wait until they are. */
  #takeOver(
    link: FlowingLink,
    { content, rest, attempts }: { content: string; rest: Uint8Array; attempts: number },
  ): void {
    const { session } = this.#stream;
    const answer = parseResumeAnswer(content);
    if (answer.code !== 200) throw new ScpError(answer.code, "the proxy refused to resume the session");
    const from = session.positionOf(answer.received);
    if (this.#isStopped) throw new Error("the session was closed");
    const wasThere = this.#stream.isAttached;
    this.#stream.detach(this.#doubt.reason);
    if (this.#isStopped) throw new Error("the session was closed");
    const resent = session.sent - from;
    const gap = performance.now() - this.#lostAt;
    this.#history.resumed(this.#stream.session, from);
    this.#isResuming = false;
    // Before it can be lost again.
    this.#options.onResumed?.({ attempts, gap, resent });
    if (this.#isStopped) throw new Error("the session was closed");
    this.#stream.attach(link.flow, { first: [], from, rest });
    if (this.#stream.isAttached) this.silence.resumed({ isMissing: resent > 0, wasThere });
  }
}
