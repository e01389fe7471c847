import { FlowLink } from "../link/flow_link.ts";
import { type Link, reasonOf } from "../link/link.ts";
import { ResumableStream } from "../link/resumable.ts";
import { parseResumeAnswer, request, resumeRecord, ScpError, type Session } from "../scp/mod.ts";
import { pause } from "./backoff.ts";
import type { ConnectionOptions } from "./connection_options.ts";
import { exchange, randomKey, refusalIn } from "./exchange.ts";
import { type Bytes, LinkHistory } from "./link_history.ts";

export type { ConnectionOptions, Resumption } from "./connection_options.ts";

/** The answers after which no further attempt can succeed. */
const FINAL = new Set([400, 401, 404, 406]);

/** See `ConnectionOptions.giveUpAfter`. */
const GIVE_UP_AFTER = 60_000;

/**
 * The client's end of a session. It is a link that does not break: when the one below does, it dials and resumes by
 * itself, and reads and writes wait meanwhile. It is a read or a write that learns of the loss: while there is neither,
 * what was written before may not arrive.
 */
export class Connection implements Link {
  readonly #options: ConnectionOptions;
  readonly #stream: ResumableStream;
  readonly #link: FlowLink;
  /** Stops the pause or the attempt that is under way. */
  #interruption = new AbortController();
  #closed = false;
  readonly #history = new LinkHistory();

  private constructor(session: Session, options: ConnectionOptions) {
    this.#options = options;
    this.#stream = new ResumableStream(session, (reason, endOfStream) => this.#lost(reason, endOfStream));
    this.#link = new FlowLink(this.#stream);
  }

  /** Opens a session. Rejects with an `ScpError` when the proxy refuses, or with why it could not be reached. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const { target = "", flag = 0, dialect = "goscon", cacheSize = 2 ** 20 } = options;
    const hello = request({ privateKey: randomKey(), target, flag, dialect, cacheSize });
    const { link, content, rest } = await exchange(hello.record, options, options.signal);
    try {
      const connection = new Connection(hello.finish(content), options);
      connection.#stream.attach(link, { first: [], from: 0, rest });
      return connection;
    } catch (error) {
      link.close();
      throw refusalIn(content) ?? error;
    }
  }

  /** The session's id. */
  get id(): number {
    return this.#stream.session.id;
  }

  /** Bytes received and sent in this session. */
  get bytes(): Bytes {
    const { received, sent } = this.#stream.session;
    return { received, sent };
  }

  /** As a link's. Rejects with why the session was lost for good; `null` when it came to its end in order. */
  read(buffer: Uint8Array): Promise<number | null> {
    return this.#link.read(buffer);
  }

  /** Writes all of `bytes`, and ciphers them in place: their content is lost. At most as many as the cache holds. */
  write(bytes: Uint8Array): Promise<number> {
    return this.#link.write(bytes);
  }

  /**
   * Nothing more will be written. SCP has no way to say so but to end the link's direction, which the proxy takes for
   * a lost client: so this ends the session, once the proxy has closed the link too.
   */
  closeWrite(): Promise<void> {
    return this.#link.closeWrite();
  }

  /** Ends the session at this end, at once; with an `error`, whatever it is, reads and writes reject with it. */
  close(error?: unknown): void {
    this.#end(error);
  }

  /**
   * The network may be back: a session without a link tries to resume at once, whether it pauses or waits for an answer,
   * and its pauses begin with the shortest again. A link that is there is left alone.
   */
  retryNow(): void {
    if (!this.#stream.isAttached) this.#interruption.abort();
  }

  /** Drops the link below as a broken network would; for tests of what is built on it. */
  cut(): void {
    this.#stream.detach("cut");
  }

  #end(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#interruption.abort();
    this.#link.close(error);
    this.#options.onClosed?.(error);
  }

  #lost(reason: string, endOfStream: boolean): void {
    this.#options.onLost?.(reason);
    const lived = this.#history.hasLived(this.bytes);
    if (endOfStream && (this.#stream.isFinished || this.#history.isTheEnd(this.bytes))) return this.#end();
    if (lived) this.#history.goesOn();
    // Resumes that die at once are no more than attempts that fail.
    if (this.#history.hasPaused && this.#isTooLong()) return this.#giveUp(reason);
    void this.#resume(endOfStream);
  }

  async #resume(endOfStream: boolean): Promise<void> {
    const { random = Math.random, serverForgets = false } = this.#options;
    const lostAt = performance.now();
    const gap = () => performance.now() - lostAt;
    let hurried = false;
    for (let attempts = 1; !this.#closed; attempts++) {
      if (!hurried) hurried = await pause(this.#history.nextPause(random), this.#interruptible());
      if (hurried) this.#history.goesOn();
      if (this.#closed) return;
      const signal = this.#interruptible();
      try {
        return await this.#tryResume(signal, (resent) => this.#options.onResumed?.({ attempts, gap: gap(), resent }));
      } catch (error) {
        const final = error instanceof ScpError && FINAL.has(error.code);
        if (final && error.code === 404 && endOfStream && attempts === 1 && serverForgets) return this.#end();
        if (final) return this.#end(error);
        hurried = signal.aborted;
        if (!hurried && this.#isTooLong()) return this.#giveUp(reasonOf(error));
      }
    }
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

  /** Says how many bytes are sent again, before the link can be lost again, and does not wait until they are. */
  async #tryResume(signal: AbortSignal, onResumed: (resent: number) => void): Promise<void> {
    const { session } = this.#stream;
    const { link, content, rest } = await exchange(resumeRecord(session.nextResume()), this.#options, signal);
    try {
      const answer = parseResumeAnswer(content);
      if (answer.code !== 200) throw new ScpError(answer.code, "the proxy refused to resume the session");
      const from = session.positionOf(answer.received);
      if (this.#closed) throw new Error("the session was closed");
      const resent = session.sent - from;
      this.#history.resumed(this.bytes, from);
      this.#stream.attach(link, { first: [], from, rest });
      onResumed(resent);
    } catch (error) {
      link.close();
      throw error;
    }
  }
}
