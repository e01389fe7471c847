import { type ClientLink, type Endpoint, formatEndpoint, LINGER, type Link, reasonOf, writeAll } from "../link/link.ts";
import { ResumableStream } from "../link/resumable.ts";
import { type Code, type ResumeRequest, ScpError, type Session } from "../scp/mod.ts";
import { pump } from "./relay.ts";
import type { BackendRequest } from "./reach.ts";
import { END_REASONS, type SessionBooks, type SessionInfo, SessionRecord } from "./session_record.ts";
import type { EndKind } from "./stats.ts";
import type { Backend } from "./upstream.ts";

/** What a session needs of the proxy it is in. */
export interface SessionContext extends SessionBooks {
  /** Milliseconds that a session without a client is kept: asked for each time that a client goes away. */
  reuseTime: () => number;
  /** The most bytes of the resend cache. */
  cacheSize: number;
  /** Connects to a backend: see `Upstreams.connect`. */
  connect: (request: BackendRequest) => Promise<Backend>;
  /** Called once, as soon as the session has ended. */
  onEnded: () => void;
}

/**
 * The proxy's end of a session: a client that may break, joined with a backend that does not. The client side is
 * attached, detached until `reuse_time` is over, or closed.
 */
export class ProxySession {
  readonly #session: Session;
  readonly #stream: ResumableStream;
  readonly #context: SessionContext;
  readonly #record: SessionRecord;
  readonly #dialling = new AbortController();
  #backend: Backend | undefined;
  /** A write to the backend is under way. */
  #feeding = false;
  /** The backend gets no more. */
  #fed = false;
  #stopping = false;
  /** The one timer: until `reuse_time` is over, while there is no client or no backend. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The resume that was authorised last: an earlier one that still waits has been overtaken. */
  #turn = 0;

  /** `client`: who asked for the session. The session is idle until `run`. */
  constructor(session: Session, client: Endpoint, context: SessionContext) {
    this.#session = session;
    this.#context = context;
    this.#record = new SessionRecord(session, client, context);
    this.#stream = new ResumableStream(session, (reason) => this.#lost(reason));
  }

  /** 1 to 2^32-1. */
  get id(): number {
    return this.#session.id;
  }

  /**
   * Goes over `link`, which it owns from now on, after writing `answer`; connects to a backend and relays until the session
   * has ended, and the backend is closed. Never rejects.
   */
  async run(
    link: ClientLink,
    { answer, rest, target, flag }: { answer: Uint8Array; rest: Uint8Array; target: string; flag: number },
  ): Promise<void> {
    const answered = await this.#stream.attach(link, { first: [answer], rest });
    // A client that did not get the answer does not know the session: nobody can resume it.
    if (!answered) return this.#end("unanswered");
    try {
      const client = { remote: link.remote, local: link.local, sessionId: this.id };
      this.#backend = await this.#context.connect({ target, flag, client, signal: this.#dialling.signal });
    } catch (error) {
      return this.#end("no_upstream", reasonOf(error));
    }
    if (!this.#stream.ended) {
      this.#record.began({ target, upstream: this.#backend.address, local: link.local });
      await Promise.all([this.#pumpUp(this.#backend.link), this.#pumpDown(this.#backend.link)]);
    }
    this.#backend.link.close();
    this.#backend.release();
    clearTimeout(this.#timer);
  }

  /**
   * Resumes over `link`, which it owns when this settles. Throws `ScpError`, and then the caller still has the link: 401 or
   * 403, and nothing has changed; 404, the session has ended meanwhile, or has nothing more to give; 406, and it has ended.
   */
  async resume(
    link: ClientLink,
    { request, rest, answer }: {
      request: ResumeRequest;
      rest: Uint8Array;
      /** Makes the answer of how much has been received, mod 2^32. */
      answer: (received: number) => Uint8Array;
    },
  ): Promise<void> {
    this.#session.authorize(request);
    const turn = ++this.#turn;
    await this.#stream.detach(`replaced by ${formatEndpoint(link.remote)}`);
    if (turn !== this.#turn) throw this.#refusal(403, "a later resume overtook this one");
    if (this.#stream.ended) throw this.#refusal(404, "the session has ended");
    const missing = this.#missing(request.received);
    const resent = missing.reduce((sum, { length }) => sum + length, 0);
    clearTimeout(this.#timer);
    this.#record.resumed(link.remote, resent);
    void this.#stream.attach(link, { first: [answer(this.#session.receivedOnWire), ...missing], rest });
  }

  /**
   * Ends the session in order: the backend gets what was received of the client, then an end of stream; the client gets
   * what the backend still sends, then an end of stream. A client that is away cannot: its session ends at once.
   */
  stop(): void {
    this.#stopping = true;
    if (!this.#backend || !this.#stream.attached) return this.#end("shutdown");
    if (!this.#feeding) this.#endOfInput(this.#backend.link);
  }

  /** Ends the session at once. */
  abort(kind: "shutdown" | "admin", reason?: string): void {
    this.#end(kind, reason);
    this.#backend?.link.close();
  }

  /**
   * Looks whether the client was heard of since the last look: to be called about once a second. `readTimeout`: milliseconds
   * without a byte from the client after which its connection counts as lost; 0: it never does.
   */
  look(readTimeout: number): void {
    const silence = this.#record.silence();
    if (readTimeout === 0 || silence < readTimeout || !this.#stream.attached) return;
    void this.#stream.detach(`nothing was received for ${readTimeout} ms (read_timeout)`);
  }

  /** How it is now. */
  describe(): SessionInfo {
    return this.#record.describe(!this.#backend ? "connecting" : this.#stream.attached ? "attached" : "detached");
  }

  #missing(received: number): Uint8Array[] {
    try {
      const missing = this.#session.missing(received);
      if (missing.length > 0 || !this.#stream.finished) return missing;
    } catch (error) {
      this.#end("not_resumable", reasonOf(error));
      throw error;
    }
    // The client has all there was: an answer of 200 would only make it come again.
    this.#end("upstream_closed");
    throw this.#refusal(404, "the session has come to its end");
  }

  /** Of a resume that was authorised. */
  #refusal(code: Code, detail: string): ScpError {
    this.#context.stats.reuseFails++;
    return new ScpError(code, detail);
  }

  async #pumpUp(backend: Link): Promise<void> {
    // After the backend is gone, what the client sends is read and forgotten, until the client has seen the end.
    await pump(this.#stream, async (bytes) => {
      if (this.#fed) return;
      this.#feeding = true;
      const taken = await writeOrGiveUp(backend, bytes);
      this.#feeding = false;
      if (!taken || this.#stopping) this.#endOfInput(backend);
    });
    this.#endOfInput(backend);
  }

  async #pumpDown(backend: Link): Promise<void> {
    let kind: EndKind = "upstream_closed";
    let reason = END_REASONS[kind];
    try {
      await pump(backend, (bytes) => this.#toClient(bytes), this.#context.cacheSize);
    } catch (error) {
      kind = "upstream_failed";
      reason = `${END_REASONS[kind]}: ${reasonOf(error)}`;
    }
    this.#fed = true;
    backend.close();
    if (this.#stream.ended) return;
    this.#record.log("upstream closed", { reason });
    await this.#stream.closeWrite();
    this.#endAfterReuseTime(kind, reason);
  }

  /** What the backend sends after the session has ended is forgotten. */
  async #toClient(bytes: Uint8Array): Promise<void> {
    if (this.#stream.ended) return;
    await this.#stream.write(bytes).catch(() => {});
    this.#record.account();
  }

  #endOfInput(backend: Link): void {
    if (this.#fed) return;
    this.#fed = true;
    backend.closeWrite().catch(() => {}); // it is gone: its reader says so
  }

  #lost(reason: string): void {
    this.#record.lost(reason);
    if (this.#stopping) return this.#end("shutdown");
    this.#endAfterReuseTime(this.#stream.finished ? "upstream_closed" : "reuse_timeout");
  }

  #endAfterReuseTime(kind: EndKind, reason?: string): void {
    if (this.#stream.ended) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(kind, reason), this.#context.reuseTime());
  }

  #end(kind: EndKind, reason = END_REASONS[kind]): void {
    if (this.#stream.ended) return;
    this.#stream.end();
    clearTimeout(this.#timer);
    this.#dialling.abort();
    const { link } = this.#backend ?? {};
    if (link) this.#timer = setTimeout(() => link.close(), LINGER);
    this.#record.ended(kind, reason);
    this.#context.onEnded();
  }
}

/** Whether all was written. */
async function writeOrGiveUp(link: Link, bytes: Uint8Array): Promise<boolean> {
  try {
    await writeAll(link, bytes);
    return true;
  } catch {
    return false;
  }
}
