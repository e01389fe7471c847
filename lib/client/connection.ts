import { FlowLink } from "../link/flow_link.ts";
import { type Link, readRecord, reasonOf, writeAll } from "../link/link.ts";
import { ResumableStream } from "../link/resumable.ts";
import { type Dialect, parseResumeAnswer, request, resumeRecord, ScpError, type Session } from "../scp/mod.ts";
import { backoff } from "./backoff.ts";

/** What became of a link that was lost: how often it was tried, and how many bytes were sent again. */
export interface Resumption {
  attempts: number;
  /** Milliseconds from the loss. */
  gap: number;
  resent: number;
}

export interface ConnectionOptions {
  /** Opens a link to the proxy; gives up when the signal says so. */
  dial: (signal: AbortSignal) => Promise<Link>;
  /** The backend to prefer: `[a-zA-Z_0-9]*`. Default: none. */
  target?: string;
  /** See `FLAG_FORBID_ANNOUNCE`. Default 0. */
  flag?: number;
  /** Default `goscon`. */
  dialect?: Dialect;
  /**
   * The most bytes sent that are kept to be sent again. What the network may hold of them on its way must fit, or a cut
   * can cost the session. Default 1 MiB; it is used as it fills.
   */
  cacheSize?: number;
  /** Milliseconds for one attempt, from dialling to the answer. Default 10 s. */
  handshakeTimeout?: number;
  /** Milliseconds without a link, but such as die at once, after which the session is given up. Default 60 s. */
  giveUpAfter?: number;
  /**
   * The server forgets a session as soon as it ends, as the Go program does: a 404 right after an end of stream is the end
   * in order. Without, such a 404 tells that the session is lost, and nobody knows what of it. Default false.
   */
  serverForgets?: boolean;
  /** Gives the opening up, which then rejects with its reason. */
  signal?: AbortSignal;
  /** Called when the link is lost, and why. */
  onLost?: (reason: string) => void;
  /** Called when another link has taken its place. */
  onResumed?: (resumption: Resumption) => void;
  /** Called once, at the end: with `undefined` when the session came to its end in order, else with why. */
  onClosed?: (error: unknown) => void;
  /** A number of [0, 1). */
  random?: () => number;
}

/** The answers after which no further attempt can succeed. */
const FINAL = new Set([400, 401, 404, 406]);

/** See `ConnectionOptions.giveUpAfter`. */
const GIVE_UP_AFTER = 60_000;
/** A link that lived so long, in milliseconds, was one, also when it carried nothing. */
const LIVED = 5000;
/** Ends of stream in a row, each right after a resume, that are the end also when the server may have lacked something. */
const ENDS = 3;

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
  /** The pauses since the last link that was one, and when that was lost. */
  #pauses = 0;
  #lostAt = performance.now();
  /** Of the link there is, or was last: since when, and what had been received and sent, and was held by the server, then. */
  #since = this.#lostAt;
  #before = { received: 0, sent: 0, held: 0 };
  /** What had been received, and was held by the server, at the last end of stream; and how many came there in a row. */
  #endedAt = { received: -1, held: -1 };
  #ends = 0;

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
  get bytes(): { received: number; sent: number } {
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
    const now = performance.now();
    const lived = this.bytes.received !== this.#before.received || now - this.#since >= LIVED;
    if (endOfStream && (this.#stream.isFinished || this.#isTheEnd(lived))) return this.#end();
    if (lived) this.#goesOn(now);
    // Resumes that die at once are no more than attempts that fail.
    if (this.#pauses > 0 && this.#isTooLong()) return this.#giveUp(reason);
    void this.#resume(endOfStream);
  }

  /** The session was alive until `at`: what comes now is a trouble of its own. */
  #goesOn(at: number): void {
    this.#pauses = 0;
    this.#lostAt = at;
  }

  /**
   * Whether a link that has come to an end of stream tells that the session has: it was resumed after another end, and ended
   * again soon and without a byte (protocol: The end). Networks end streams too, so a server that lacked nothing, and was sent
   * nothing, is believed at once, and another one when it says so again and again.
   */
  #isTheEnd(lived: boolean): boolean {
    const { received, sent } = this.bytes;
    const { held } = this.#before;
    const quiet = held === this.#before.sent && held === sent;
    const again = !lived && this.#endedAt.received === received && (quiet || this.#endedAt.held === held);
    this.#ends = again ? this.#ends + 1 : 0;
    this.#endedAt = { received, held };
    return this.#ends >= (quiet ? 1 : ENDS);
  }

  async #resume(endOfStream: boolean): Promise<void> {
    const { random = Math.random, serverForgets = false } = this.#options;
    const lostAt = performance.now();
    const gap = () => performance.now() - lostAt;
    let hurried = false;
    for (let attempts = 1; !this.#closed; attempts++) {
      if (!hurried) hurried = await pause(backoff(this.#pauses++, random), this.#interruptible());
      if (hurried) this.#goesOn(performance.now());
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
    return performance.now() - this.#lostAt > (this.#options.giveUpAfter ?? GIVE_UP_AFTER);
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
      const { received, sent } = this.bytes;
      const resent = sent - from;
      this.#since = performance.now();
      // What it has got since is carried by a link that was one.
      if (from !== this.#before.held) this.#goesOn(this.#since);
      this.#before = { received, sent, held: from };
      this.#stream.attach(link, { first: [], from, rest });
      onResumed(resent);
    } catch (error) {
      link.close();
      throw error;
    }
  }
}

/** Dials, sends a handshake's record and reads the one that answers. The caller owns the link. */
async function exchange(
  record: Uint8Array,
  { dial, handshakeTimeout = 10_000 }: ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<{ link: Link; content: string; rest: Uint8Array }> {
  const abort = new AbortController();
  const giveUp = () => abort.abort();
  const deadline = setTimeout(giveUp, handshakeTimeout);
  signal?.addEventListener("abort", giveUp);
  if (signal?.aborted) giveUp();
  let link: Link | undefined;
  try {
    link = await dial(abort.signal);
    const opened = link;
    abort.signal.addEventListener("abort", () => opened.close());
    if (abort.signal.aborted) opened.close();
    await writeAll(opened, record);
    const answer = await readRecord(opened);
    if (!answer) throw new Error("the connection was closed in the handshake");
    return { link: opened, ...answer };
  } catch (error) {
    link?.close();
    if (signal?.aborted) throw signal.reason;
    throw abort.signal.aborted ? new Error(`the handshake took longer than ${handshakeTimeout} ms`) : error;
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener("abort", giveUp);
  }
}

/** A proxy that refuses a new session answers in the form of a resume's answer. */
function refusalIn(content: string): ScpError | undefined {
  try {
    return new ScpError(parseResumeAnswer(content).code, "the proxy refused a new session");
  } catch {
    return undefined;
  }
}

/** A private key: 64 bits from a cryptographic generator, not 0. */
export function randomKey(): bigint {
  const [key] = crypto.getRandomValues(new BigUint64Array(1));
  return key || 1n;
}

/** Whether the signal cut it short. */
function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
