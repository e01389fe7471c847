import { type ClientLink, type Endpoint, formatEndpoint, LINGER, type Link, reasonOf } from "../../link/link.ts";
import { pump } from "../../link/relay.ts";
import { ResumableStream } from "../../link/resumable.ts";
import { type Code, type ResumeRequest, ScpError, type Session } from "../../scp/mod.ts";
import type { BackendRequest } from "../upstream/reach.ts";
import { END_REASONS, type SessionBooks, type SessionInfo, SessionRecord } from "./session_record.ts";
import type { EndKind } from "../stats.ts";
import type { Backend } from "../upstream/upstream.ts";

/** What a session needs of the proxy it is in. */
export interface SessionContext extends SessionBooks {
  /** Milliseconds that a session without a client is kept: asked for each time that a client goes away. */
  reuseTime: () => number;
  /** The most bytes of the resend cache. */
  cacheSize: number;
  /** Connects to a backend: see `Upstreams.connect`. */
  connect: (request: BackendRequest) => Promise<Backend>;
  /** Called once, as soon as the session has ended. */
  onEnded: (kind: EndKind) => void;
}

/** What a session is opened with. */
export interface Opening {
  /** The record that answers the request. */
  answer: Uint8Array;
  /** Bytes of the stream that came with the request. */
  rest: Uint8Array;
  target: string;
  flag: number;
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
  /** Gives the dialling up; missing when there is nothing to give up. */
  #dialling: AbortController | undefined = new AbortController();
  #backend: Backend | undefined;
  /** A write to the backend is under way. */
  #feeding = false;
  /** The backend gets no more. */
  #fed = false;
  #stopping = false;
  /** What the backend ended with. */
  #upstreamEnd: [kind: EndKind, reason: string] = ["upstream_closed", END_REASONS.upstream_closed];
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
  run(link: ClientLink, opening: Opening): Promise<void> {
    // Two steps, the first of which leaves nothing behind for as long as the second lasts.
    return this.#begin(link, opening).then((backend) => backend && this.#relay(backend));
  }

  /** The backend; `undefined`: the session has ended before there was one. */
  async #begin(link: ClientLink, { answer, rest, target, flag }: Opening): Promise<Backend | undefined> {
    const answered = await this.#stream.attach(link, { first: [answer], rest });
    // A client that did not get the answer does not know the session: nobody can resume it.
    if (!answered) return void this.#end("unanswered");
    try {
      const client = { remote: link.remote, local: link.local, sessionId: this.id };
      const { signal } = this.#dialling!;
      this.#backend = await this.#context.connect({ target, flag, client, signal });
      this.#dialling = undefined;
    } catch (error) {
      return void this.#end("no_upstream", reasonOf(error));
    }
    if (!this.#stream.ended) {
      this.#record.began({ target, upstream: this.#backend.address, local: link.local });
    }
    return this.#backend;
  }

  async #relay({ link, release }: Backend): Promise<void> {
    if (!this.#stream.ended) await Promise.all([this.#pumpUp(link), this.#pumpDown(link)]);
    link.close();
    release();
    clearTimeout(this.#timer);
  }

  /**
   * Resumes over `link`, which it owns when this settles. Throws `ScpError`, and then the caller still has the link: 401 or
   * 403, and nothing has changed; 404, the session has ended meanwhile, or its backend failed and there is nothing more to give;
   * 406, and it has ended. Gives false, and the caller has the link too, when the session ended as the client has all there was.
   */
  async resume(
    link: ClientLink,
    { request, rest, answer }: {
      request: ResumeRequest;
      rest: Uint8Array;
      /** Makes the answer of how much has been received, mod 2^32. */
      answer: (received: number) => Uint8Array;
    },
  ): Promise<boolean> {
    this.#session.authorize(request);
    const turn = ++this.#turn;
    // Before the client counts as away: then its cache could be the one that gives way to `limits.cache_bytes`. Nothing is
    // sealed from here to the attachment, so these stay the right bytes.
    const missing = this.#missing(request.received);
    await this.#stream.detach(`replaced by ${formatEndpoint(link.remote)}`);
    if (turn !== this.#turn) throw this.#refusal(403, "a later resume overtook this one");
    if (this.#stream.ended) throw this.#refusal(404, "the session has ended");
    if (this.#isOver(missing)) return this.#endOver();
    const resent = missing.reduce((sum, { length }) => sum + length, 0);
    clearTimeout(this.#timer);
    // The backend has ended: the client is given the time again, to take the rest.
    if (this.#stream.finished) this.#endAfterReuseTime(...this.#upstreamEnd);
    this.#record.resumed(link.remote, resent);
    void this.#stream.attach(link, { first: [answer(this.#session.receivedOnWire), ...missing], rest });
    return true;
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
    // While its bytes wait for the backend nothing more is read of it: that is not its silence.
    const heard = !this.#backend || this.#feeding;
    const silence = this.#record.silence(heard);
    if (readTimeout === 0 || silence < readTimeout || !this.#stream.attached) return;
    void this.#stream.detach(`nothing was received for ${readTimeout} ms (read_timeout)`);
  }

  /** How it is now. */
  describe(): SessionInfo {
    return this.#record.describe(!this.#backend ? "connecting" : this.#stream.attached ? "attached" : "detached");
  }

  #missing(received: number): Uint8Array[] {
    try {
      return this.#session.missing(received);
    } catch (error) {
      this.#context.stats.reuseFails++;
      this.#end("not_resumable", reasonOf(error));
      throw error;
    }
  }

  /** Whether the client has all that there was, and will be. */
  #isOver(missing: Uint8Array[]): boolean {
    return this.#stream.finished && missing.length === 0;
  }

  /** A backend that broke has not said that this was all: only a 404 tells the client so (protocol: The end). */
  #endOver(): false {
    const [kind, reason] = this.#upstreamEnd;
    this.#end(kind, reason);
    if (kind === "upstream_failed") throw this.#refusal(404, `the session has come to its end: ${reason}`);
    return false;
  }

  /** Of a resume that was authorised. */
  #refusal(code: Code, detail: string): ScpError {
    this.#context.stats.reuseFails++;
    return new ScpError(code, detail);
  }

  #pumpUp(backend: Link): Promise<void> {
    // A backend that is an SCP proxy itself takes no more at once than it can send again, which is the same as for clients.
    return pump(this.#stream, (bytes) => this.#toBackend(backend, bytes), this.#context.cacheSize).then(() =>
      this.#endOfInput(backend)
    );
  }

  #pumpDown(backend: Link): Promise<void> {
    return pump(backend, (bytes) => this.#toClient(bytes), this.#context.cacheSize).then(
      () => this.#upstreamEnded(backend, "upstream_closed", END_REASONS.upstream_closed),
      (error) => this.#upstreamEnded(backend, "upstream_failed", `${END_REASONS.upstream_failed}: ${reasonOf(error)}`),
    );
  }

  /** After the backend is gone, what the client sends is forgotten, until the client has seen the end. */
  async #toBackend(backend: Link, bytes: Uint8Array): Promise<void> {
    if (this.#fed) return;
    this.#feeding = true;
    let gone = false;
    try {
      for (let taken = 0; taken < bytes.length;) {
        taken += await backend.write(taken === 0 ? bytes : bytes.subarray(taken));
      }
    } catch {
      gone = true;
    }
    this.#feeding = false;
    if (gone || this.#stopping) this.#endOfInput(backend);
  }

  async #upstreamEnded(backend: Link, kind: EndKind, reason: string): Promise<void> {
    this.#fed = true;
    this.#upstreamEnd = [kind, reason];
    backend.close();
    if (this.#stream.ended) return;
    this.#record.log("upstream closed", { reason });
    const told = this.#stream.closeWrite();
    // A client that is away has its time already, from its loss on.
    if (this.#stream.attached) this.#endAfterReuseTime(kind, reason);
    await told;
  }

  /** What the backend sends after the session has ended is forgotten, as is what it sent while the session ended. */
  async #toClient(bytes: Uint8Array): Promise<void> {
    if (this.#stream.ended) return;
    try {
      await this.#stream.write(bytes);
    } catch {
      return;
    }
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
    if (this.#stream.finished) this.#endAfterReuseTime(...this.#upstreamEnd);
    else this.#endAfterReuseTime("reuse_timeout");
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
    this.#dialling?.abort("the session has ended");
    const { link } = this.#backend ?? {};
    if (link) this.#timer = setTimeout(() => link.close(), LINGER);
    this.#record.ended(kind, reason);
    this.#context.onEnded(kind);
  }
}
