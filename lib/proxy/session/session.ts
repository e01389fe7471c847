import type { LetGo, MovableFlow, Sink } from "../../link/flow.ts";
import { type ClientLink, type Endpoint, formatEndpoint, LINGER, reasonOf } from "../../link/link.ts";
import { flowOf } from "../../link/pumped_flow.ts";
import { LARGEST_READ } from "../../link/relay.ts";
import { type LinkStanding, ResumableStream } from "../../link/resumable.ts";
import { type Code, type ResumeRequest, ScpError, type Session, type SessionSnapshot } from "../../scp/mod.ts";
import type { BackendRequest } from "../upstream/reach.ts";
import { AckWatch } from "./ack_watch.ts";
import { type BackendOwner, BackendSide, type BackendSnapshot } from "./backend_side.ts";
import { type Sender, WayToClient } from "./way_to_client.ts";
import { CachedRecord } from "./cache/cached_record.ts";
import type { InFlight } from "./in_flight.ts";
import { type Arrived, BACKEND_NOT_ALONG, NOT_ALONG, type Parting, type Wanted } from "./move/parting.ts";
import {
  END_REASONS,
  type RecordSnapshot,
  type SessionBooks,
  type SessionInfo,
  type SessionState,
} from "./session_record.ts";
import type { EndKind } from "../stats.ts";
import type { Backend } from "../upstream/upstream.ts";
import type { AckedProxySession } from "./v2/acked_proxy_session.ts";

/** The largest read of a client, in bytes. Of a backend less is read at once, as all of it is kept: see `WayToClient.most`. */
const LARGEST_UPLOAD = 128 * 1024;

/** What sessions need of the proxy they are in: the same for all of them. */
export interface SessionContext extends SessionBooks {
  /** Milliseconds that a session without a client is kept: asked for each time that a client goes away. */
  reuseTime: () => number;
  inFlight: InFlight;
  /** Connects to a backend: see `Upstreams.connect`. */
  connect: (request: BackendRequest) => Promise<Backend>;
  /** Called once, as soon as the session has ended. */
  onEnded: (session: Session, kind: EndKind) => void;
  /** Called once, after that, when the backend is closed too. */
  onClosed: (session: ProxySession | AckedProxySession) => void;
  /** Called instead of both, once, when it goes on elsewhere. */
  onLeft: (session: ProxySession | AckedProxySession) => void;
}

/** What one session is made with. */
export interface SessionTerms {
  /** The most bytes of the resend cache. */
  cacheSize: number;
  /** Called once, when it has ended, or goes on elsewhere. */
  onGone: () => void;
}

/** What a session is opened with. */
export interface Opening {
  /** The record that answers the request. */
  answer: Uint8Array<ArrayBuffer>;
  /** Bytes of the stream that came with the request. */
  rest: Uint8Array;
  target: string;
  flag: number;
}

/** All that a session is but its connections, as plain data: what goes on from it is the same session. It has its secret. */
export interface ProxySessionSnapshot {
  session: SessionSnapshot;
  record: RecordSnapshot;
  isKnown: boolean;
  /** How far it is with the client's connection; missing: the client is away. */
  link: LinkStanding | undefined;
  /** What the backend sent that could not go to the client yet. */
  toClient: Uint8Array<ArrayBuffer>;
  /** How it is with the backend; missing: it is being dialled, then what for, or has ended. */
  backend: BackendSnapshot | undefined;
  wanted: Wanted | undefined;
  /** What the backend ended with. */
  upstreamEnd: [kind: EndKind, reason: string];
  /** After how many milliseconds the session ends, and with what, where its time runs. */
  due: { left: number; kind: EndKind; reason: string | undefined } | undefined;
}

/**
 * The proxy's end of a session: a client that may break, joined with a backend that does not. It is a machine of events: of the
 * client's stream, of the backend, and of time. No event waits for anything, so none can come in the middle of another. The client
 * side is attached, detached until `reuse_time` is over, or closed.
 */
export class ProxySession implements Sink, BackendOwner, Sender {
  readonly version = 1;
  readonly #session: Session;
  readonly #stream: ResumableStream;
  readonly #terms: SessionTerms;
  readonly #context: SessionContext;
  readonly #record: CachedRecord;
  readonly #wayToClient: WayToClient;
  /** Gives the dialling up; missing when there is nothing to give up. */
  #dialling: AbortController | undefined = new AbortController();
  /** What is dialled. */
  #wanted: Wanted | undefined;
  #backend: BackendSide | undefined;
  /** Tells the host of the backend that the session is over. */
  #release: (() => void) | undefined;
  readonly #clientAcks = new AckWatch();
  /** The client has shown that it knows the session. */
  #isKnown = false;
  #isReplacing = false;
  #isStopping = false;
  #isBackendClosed = false;
  #isClosed = false;
  /** What the backend ended with. */
  #upstreamEnd: [kind: EndKind, reason: string] = ["upstream_closed", END_REASONS.upstream_closed];
  /** The one timer: until `reuse_time` is over, while there is no client or no backend; after the end, until the backend is closed. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the session ends by that, by `performance.now()`, and with what. */
  #due: { at: number; kind: EndKind; reason: string | undefined } | undefined;

  /** `client`: who asked for the session. The session is idle until `run`. */
  constructor(session: Session, client: Endpoint, terms: SessionTerms, context: SessionContext) {
    this.#session = session;
    this.#terms = terms;
    this.#context = context;
    this.#record = new CachedRecord(session, client, context, () => this.#stream.unacknowledged());
    this.#stream = new ResumableStream(session, (reason) => this.#lost(reason));
    this.#stream.sink = this;
    this.#wayToClient = new WayToClient(this.#stream, this, terms.cacheSize, context.inFlight);
  }

  /**
   * Goes on where another was, which wrote its snapshot: instead of `run`. Its session is restored from that. Owns the connections that
   * came along.
   */
  goOn(snapshot: ProxySessionSnapshot, { client, backend }: Arrived): void {
    const { record, link, wanted, due } = snapshot;
    this.#isKnown = snapshot.isKnown;
    this.#upstreamEnd = snapshot.upstreamEnd;
    this.#wayToClient.held = snapshot.toClient;
    if (!wanted) this.#dialling = undefined;
    this.#record.goOn(record, { isAway: !link });
    if (due) this.#endAfter(due.left, due.kind, due.reason);
    if (link && client) {
      const { unsent, isEnding } = client.remains;
      // What was not sent came after the answer: the client has that, or knows the session anyhow.
      if (link.first.length === 0 && unsent.length <= link.written) this.#isKnown = true;
      this.#stream.attach(flowOf(client.what), {
        first: [unsent, link.first].filter(({ length }) => length > 0),
        from: link.written,
        rest: new Uint8Array(0),
        isToldFinished: link.isToldFinished && !isEnding,
      });
    }
    if (backend) {
      this.#release = backend.what.release;
      this.#backend = BackendSide.restore(this, snapshot.backend!, backend.what.link, backend.remains);
      this.#backend.writable();
      this.clientTakesMore();
    } else if (wanted) this.#dial(wanted);
    else {
      this.#isBackendClosed = true;
      if (snapshot.backend) this.#endAfterReuseTime(...this.#upstreamEnd = ["upstream_failed", BACKEND_NOT_ALONG]);
      this.#wayToClient.finish();
    }
    if (!wanted && !this.#backend?.isFull) this.#stream.resume(this.#most);
    if (link && !client && !this.#stream.isEnded) this.#lost(NOT_ALONG);
  }

  /** See `MovableFlow`, of its client's connection. */
  get sharesSocket(): boolean {
    return this.#stream.sharesSocket;
  }

  /**
   * Lets go of all, as the session goes on elsewhere: it is over here, and nobody is told. `undefined`: it cannot, as it has ended, or
   * its backend has no connection that can go along.
   */
  leave(): Parting<ProxySessionSnapshot> | undefined {
    const side = this.#isBackendClosed ? undefined : this.#backend;
    if (this.#isStopping || side?.isMovable === false) return undefined;
    const left = this.#stream.isMovable ? undefined : this.#stream.putAside(NOT_ALONG);
    if (this.#stream.isEnded) return void left?.close();
    const snapshot = this.#snapshotWith(side);
    const client = this.#stream.leave() as LetGo<MovableFlow> | undefined;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#dialling?.abort("the session goes on elsewhere");
    this.#release?.();
    this.#record.leave();
    this.#context.onLeft(this);
    this.#terms.onGone();
    return { snapshot, client, backend: side?.leave(), left };
  }

  #snapshotWith(backend: BackendSide | undefined): ProxySessionSnapshot {
    return {
      session: this.#session.snapshot,
      record: this.#record.snapshot,
      isKnown: this.#isKnown,
      link: this.#stream.standing,
      toClient: this.#wayToClient.held.slice(),
      backend: backend?.snapshot,
      wanted: this.#wanted,
      upstreamEnd: this.#upstreamEnd,
      due: this.#dueLeft,
    };
  }

  /** 1 to 2^32-1. */
  get id(): number {
    return this.#session.id;
  }

  /** Goes over `link`, which it owns from now on, after writing `answer`; connects to a backend and relays until the session has ended. */
  run(link: ClientLink, { answer, rest, target, flag }: Opening): void {
    const { remote, local } = link;
    this.#record.via = link.via;
    this.#stream.attach(flowOf(link), { first: [answer], from: 0, rest });
    if (this.#stream.isEnded) return this.#close();
    this.#dial({ target, flag, remote, local });
  }

  #dial(wanted: Wanted): void {
    this.#wanted = wanted;
    const { target, flag, remote, local } = wanted;
    const { signal } = this.#dialling!;
    this.#context.connect({ target, flag, client: { remote, local, sessionId: this.id }, signal }).then(
      (backend) => this.#connected(backend, wanted),
      (error) => {
        this.#end("no_upstream", reasonOf(error));
        this.#close();
      },
    );
  }

  /**
   * Resumes over `link`, which it owns when this returns. Throws `ScpError`, and then the caller still has the link: 401 or
   * 403, and nothing has changed; 404, the session ends right now, or its backend failed and there is nothing more to give;
   * 406, and it has ended. Gives false, and the caller has the link too, when the session ended as the client has all there was.
   */
  resume(
    link: ClientLink,
    { request, rest, answer }: {
      request: ResumeRequest;
      rest: Uint8Array;
      /** Makes the answer of how much has been received, mod 2^32. */
      answer: (received: number) => Uint8Array<ArrayBuffer>;
    },
  ): boolean {
    this.#session.authorize(request);
    this.#isKnown = true;
    const from = this.#positionOf(request.received);
    this.#isReplacing = true;
    this.#stream.detach(`replaced by ${formatEndpoint(link.remote)}`);
    this.#isReplacing = false;
    if (this.#stream.isEnded) throw this.#refusal(404, "the session has ended");
    const resent = this.#session.sent - from;
    if (this.#stream.isFinished && resent === 0) return this.#endOver();
    clearTimeout(this.#timer);
    this.#due = undefined;
    // The backend has ended: the client is given the time again, to take the rest.
    if (this.#isBackendClosed) this.#endAfterReuseTime(...this.#upstreamEnd);
    this.#record.resumed(link, resent);
    this.#clientAcks.restart();
    this.#stream.attach(flowOf(link), { first: [answer(this.#session.receivedOnWire)], from, rest });
    return true;
  }

  /**
   * Ends the session in order: the backend gets what was received of the client, then an end of stream; the client gets
   * what the backend still sends, then an end of stream. A client that is away cannot: its session ends at once.
   */
  stop(): void {
    this.#isStopping = true;
    if (this.state !== "attached") return this.#end("shutdown");
    this.#backend?.endOfInput();
  }

  /** Ends the session at once. */
  abort(kind: "shutdown" | "admin", reason?: string): void {
    this.#end(kind, reason);
    if (this.state !== "connecting") this.#close();
  }

  /**
   * Looks whether the client was heard of since the last look, and whether either end is gone: to be called about once a second.
   * `read_timeout`, and `ack_timeout` of both ends: milliseconds, 0: never.
   */
  look(readTimeout: number, ackTimeout = 0, upstreamAckTimeout = 0): void {
    const now = performance.now();
    this.#stream.look();
    this.#backend?.look(this.#session.received, upstreamAckTimeout, now);
    if (this.#stream.isAttached && this.#clientAcks.isGone(this.#stream, this.#session.sent, ackTimeout, now)) {
      return this.#stream.detach(`nothing was acknowledged for ${ackTimeout} ms (ack_timeout)`);
    }
    // While its bytes wait for the backend nothing more is read of it: that is not its silence.
    const heard = !this.#backend || this.#backend.isFull;
    const silence = this.#record.silence(heard);
    if (readTimeout > 0 && silence >= readTimeout) {
      this.#stream.detach(`nothing was received for ${readTimeout} ms (read_timeout)`);
    }
  }

  get state(): SessionState {
    if (!this.#backend && !this.#isBackendClosed) return "connecting";
    return this.#stream.isAttached ? "attached" : "detached";
  }

  /** What it has carried. */
  get bytes(): { received: number; sent: number } {
    return this.#session;
  }

  /** How it is now. */
  describe(): SessionInfo {
    return this.#record.describe(this.state);
  }

  /** Bytes of the client. When the backend has ended they are forgotten. */
  readable(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#backend && !this.#backend.take(bytes)) this.#stream.pause();
  }

  /** The client takes more, after it did not. */
  writable(): void {
    this.#wayToClient.writable();
  }

  // The stream outlives the ends and the losses of its links, which `#lost` hears of.
  ended(): void {}
  lost(): void {}

  /** What the backend sends after the session has ended is forgotten. */
  fromBackend(bytes: Uint8Array<ArrayBuffer>): boolean {
    if (this.#stream.isEnded) return true;
    this.#wayToClient.send(bytes);
    return this.#wayToClient.takesMore;
  }

  onSealed(): void {
    this.#record.account();
  }

  clientTakesMore(): void {
    if (this.#wayToClient.takesMore) this.#backend?.resume(this.#wayToClient.most);
  }

  backendTakesMore(): void {
    if (!this.#stream.isEnded) this.#stream.resume(this.#most);
  }

  backendEnded(kind: EndKind, reason: string): void {
    this.#backend!.close();
    this.#isBackendClosed = true;
    if (this.#stream.isEnded) return this.#close();
    this.#upstreamEnd = [kind, reason];
    this.#record.log("upstream closed", { reason });
    // A client that is away has its time already, from its loss on.
    if (this.#stream.isAttached) this.#endAfterReuseTime(kind, reason);
    this.#stream.resume(this.#most);
    this.#wayToClient.finish();
  }

  /** Bytes of a client that are read at once: no more than can be sent again, also by a backend that is an SCP proxy. */
  get #most(): number {
    return Math.min(LARGEST_UPLOAD, this.#terms.cacheSize);
  }

  #connected(backend: Backend, wanted: Wanted): void {
    const { link, release } = backend;
    this.#dialling = this.#wanted = undefined;
    if (this.#isClosed) {
      // It has left, and dials elsewhere.
      link.close();
      return release();
    }
    this.#release = release;
    this.#backend = new BackendSide(this, link);
    if (this.#stream.isEnded) return this.#close();
    this.#record.began(wanted, backend);
    this.clientTakesMore();
    this.#stream.resume(this.#most);
  }

  #positionOf(received: number): number {
    try {
      return this.#session.positionOf(received);
    } catch (error) {
      this.#context.stats.reuseFails++;
      this.#end("not_resumable", reasonOf(error));
      throw error;
    }
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

  #lost(reason: string): void {
    this.#wayToClient.lost();
    this.clientTakesMore();
    // One that is replaced is not away: its cache is not to be the one that gives way to `limits.cache_bytes`.
    this.#record.lost(reason, { isAway: !this.#isReplacing });
    // A client that did not get the answer does not know the session: nobody can resume it.
    if (!this.#isKnown && !this.#stream.isAnswered) return this.#end("unanswered");
    if (this.#isStopping) return this.#end("shutdown");
    if (this.#isBackendClosed) this.#endAfterReuseTime(...this.#upstreamEnd);
    else this.#endAfterReuseTime("reuse_timeout");
  }

  #endAfterReuseTime(kind: EndKind, reason?: string): void {
    this.#endAfter(this.#context.reuseTime(), kind, reason);
  }

  #endAfter(time: number, kind: EndKind, reason: string | undefined): void {
    clearTimeout(this.#timer);
    this.#due = { at: performance.now() + time, kind, reason };
    this.#timer = setTimeout(() => this.#end(kind, reason), time);
  }

  get #dueLeft(): ProxySessionSnapshot["due"] {
    if (!this.#due) return undefined;
    const { at, kind, reason } = this.#due;
    return { left: Math.max(0, at - performance.now()), kind, reason };
  }

  /** The backend, if there is one, is fed what is held for it, and has `LINGER` to close too. */
  #end(kind: EndKind, reason = END_REASONS[kind]): void {
    if (this.#stream.isEnded) return;
    this.#stream.close();
    clearTimeout(this.#timer);
    this.#dialling?.abort("the session has ended");
    this.#record.ended(kind, reason);
    this.#context.onEnded(this.#session, kind);
    this.#terms.onGone();
    if (this.#isBackendClosed) return this.#close();
    if (!this.#backend) return;
    this.#timer = setTimeout(() => this.#close(), LINGER);
    this.#backend.endOfInput();
    this.#backend.resume(LARGEST_READ);
  }

  /** All is closed then. */
  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#backend?.close();
    this.#release?.();
    this.#context.onClosed(this);
  }
}
