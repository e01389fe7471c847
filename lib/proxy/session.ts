import { type ClientLink, type Endpoint, formatEndpoint, LINGER, type Link, reasonOf, writeAll } from "../link/link.ts";
import { ResumableStream } from "../link/resumable.ts";
import type { Fields, Log } from "../log.ts";
import { type ResumeRequest, ScpError, type Session } from "../scp/mod.ts";
import { pump } from "./relay.ts";
import type { Backend, BackendRequest } from "./upstream.ts";

/** What a session needs of the proxy it is in. */
export interface SessionContext {
  log: Log;
  /** Milliseconds that a session without a client is kept. */
  reuseTime: number;
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
  readonly #dialling = new AbortController();
  readonly #since = performance.now();
  #client: Endpoint;
  #backend: Backend | undefined;
  /** A write to the backend is under way. */
  #feeding = false;
  /** The backend gets no more. */
  #fed = false;
  #stopping = false;
  /** The one timer: until `reuse_time` is over, while there is no client or no backend. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lostAt = 0;
  #resumes = 0;
  #resent = 0;
  /** The resume that was authorised last: an earlier one that still waits has been overtaken. */
  #turn = 0;

  /** `client`: who asked for the session. The session is idle until `run`. */
  constructor(session: Session, client: Endpoint, context: SessionContext) {
    this.#session = session;
    this.#client = client;
    this.#context = context;
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
    if (!answered) return this.#end("the answer could not be sent");
    try {
      const client = { remote: link.remote, local: link.local, sessionId: this.id };
      this.#backend = await this.#context.connect({ target, flag, client, signal: this.#dialling.signal });
    } catch (error) {
      return this.#end(reasonOf(error));
    }
    if (!this.#stream.ended) {
      this.#log("session new", { local: formatEndpoint(link.local), target });
      await Promise.all([this.#pumpUp(this.#backend.link), this.#pumpDown(this.#backend.link)]);
    }
    this.#backend.link.close();
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
    if (turn !== this.#turn) throw new ScpError(403, "a later resume overtook this one");
    if (this.#stream.ended) throw new ScpError(404, "the session has ended");
    const missing = this.#missing(request.received);
    const resent = missing.reduce((sum, { length }) => sum + length, 0);
    this.#resumed(link.remote, resent);
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
  abort(reason: string): void {
    this.#end(reason);
    this.#backend?.link.close();
  }

  #missing(received: number): Uint8Array[] {
    try {
      const missing = this.#session.missing(received);
      if (missing.length > 0 || !this.#stream.finished) return missing;
    } catch (error) {
      this.#end(reasonOf(error));
      throw error;
    }
    // The client has all there was: an answer of 200 would only make it come again.
    this.#end("upstream closed");
    throw new ScpError(404, "the session has come to its end");
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
    let reason = "upstream closed";
    try {
      await pump(backend, (bytes) => this.#toClient(bytes), this.#context.cacheSize);
    } catch (error) {
      reason = `upstream failed: ${reasonOf(error)}`;
    }
    this.#fed = true;
    backend.close();
    if (this.#stream.ended) return;
    this.#log("upstream closed", { reason });
    await this.#stream.closeWrite();
    this.#endAfterReuseTime(reason);
  }

  /** What the backend sends after the session has ended is forgotten. */
  async #toClient(bytes: Uint8Array): Promise<void> {
    if (this.#stream.ended) return;
    await this.#stream.write(bytes).catch(() => {});
  }

  #endOfInput(backend: Link): void {
    if (this.#fed) return;
    this.#fed = true;
    backend.closeWrite().catch(() => {}); // it is gone: its reader says so
  }

  #lost(reason: string): void {
    this.#lostAt = performance.now();
    this.#log("session lost", { ...this.#bytes(), reason });
    if (this.#stopping) return this.#end("shutdown");
    this.#endAfterReuseTime(this.#stream.finished ? "upstream closed" : "reuse_time is over");
  }

  #resumed(client: Endpoint, resent: number): void {
    clearTimeout(this.#timer);
    this.#client = client;
    this.#resumes++;
    this.#resent += resent;
    this.#log("session resumed", { ...this.#bytes(), gap_ms: Math.round(performance.now() - this.#lostAt), resent });
  }

  #endAfterReuseTime(reason: string): void {
    if (this.#stream.ended) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(reason), this.#context.reuseTime);
  }

  #end(reason: string): void {
    if (this.#stream.ended) return;
    this.#stream.end();
    clearTimeout(this.#timer);
    this.#dialling.abort();
    const { link } = this.#backend ?? {};
    if (link) this.#timer = setTimeout(() => link.close(), LINGER);
    this.#log("session ended", {
      ...this.#bytes(),
      resumes: this.#resumes,
      resent: this.#resent,
      duration_ms: Math.round(performance.now() - this.#since),
      reason,
    });
    this.#context.onEnded();
  }

  #bytes(): { received: number; sent: number } {
    return { received: this.#session.received, sent: this.#session.sent };
  }

  #log(event: string, fields: Fields): void {
    const upstream = this.#backend?.address ?? "none";
    this.#context.log.info(event, { id: this.id, client: formatEndpoint(this.#client), upstream, ...fields });
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
