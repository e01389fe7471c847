import {
  type AckedLinkStanding,
  AckedStream,
  type AckedStreamOptions,
  type StreamUser,
} from "../../../link/acked_stream.ts";
import type { LetGo, MovableFlow } from "../../../link/flow.ts";
import {
  type ClientLink,
  type Endpoint,
  formatEndpoint,
  reasonOf,
  type Transport,
  type Via,
} from "../../../link/link.ts";
import { flowOf } from "../../../link/pumped_flow.ts";
import { type Dialect, encodeRecord, type ResumeRequest, ScpError } from "../../../scp/mod.ts";
import {
  type AckedSession,
  type AckedSessionSnapshot,
  END,
  meaningOf,
  type Proof,
  resumedContent,
  resumedProofText,
} from "../../../scp/v2/mod.ts";
import type { EndKind } from "../../stats.ts";
import type { Backend } from "../../upstream/upstream.ts";
import type { GuaranteedHolder } from "../cache/cache_budget.ts";
import { type Arrived, NOT_ALONG, type Parting, type Wanted } from "../move/parting.ts";
import type { Opening, SessionContext, SessionTerms } from "../session.ts";
import {
  END_REASONS,
  type Holder,
  type Recorded,
  type RecordSnapshot,
  type SessionInfo,
  SessionRecord,
  type SessionState,
} from "../session_record.ts";
import { AckedBackend, type AckedBackendOwner, type AckedBackendSnapshot } from "./acked_backend.ts";
import { AckedWay } from "./acked_way.ts";
import type { ResumeKey } from "./resume_key.ts";

/** Bytes of its window's buffer that each session has beside the budget. */
const FREE_WINDOW = 16 * 1024;

/** What ends a session, as its client is told: see `END`. */
const CODES: Record<EndKind, number> = {
  upstream_closed: END.done,
  upstream_failed: END.backend,
  no_upstream: END.backend,
  reuse_timeout: END.away,
  not_resumable: END.protocol,
  unanswered: END.away,
  shutdown: END.shutdown,
  admin: END.operator,
  client_closed: END.done,
  client_gave_up: END.gaveUp,
  protocol_error: END.protocol,
  limit: END.limit,
};

/** What sessions of version 2 need of the proxy they are in: the same for all of them. */
export interface AckedSessionContext
  extends
    Pick<SessionContext, "log" | "stats" | "budget" | "connect" | "onClosed" | "onLeft">,
    Pick<AckedStreamOptions, "soon"> {
  /** Milliseconds that one of which one direction has ended goes on; 0: as long as it likes. Asked when that happens. */
  halfOpenTimeout: () => number;
  /** Called once, as soon as the session has ended, with the code of its end. */
  onEnded: (session: AckedSession, kind: EndKind, code: number, terms: AckedSessionTerms) => void;
}

/** What one session of version 2 is made with. */
export interface AckedSessionTerms extends Pick<SessionTerms, "onGone">, Pick<AckedStreamOptions, "liveness"> {
  /** What authenticates its resumes. */
  key: ResumeKey;
  /** Milliseconds that it is kept without a client: as that was told. */
  reuseTime: number;
}

/** All that a session is but its connections, as plain data: what goes on from it is the same session. It has its secrets. */
export interface AckedProxySessionSnapshot {
  session: AckedSessionSnapshot;
  /** What it was begun with: see `AckedSessionTerms`. */
  terms: { key: Uint8Array<ArrayBuffer>; reuseTime: number; pingInterval: number; pingTimeout: number };
  record: RecordSnapshot;
  isKnown: boolean;
  /** How it is with the client's connection; missing: the client is away. */
  link: AckedLinkStanding | undefined;
  /** What the backend sent that there was no room for yet. */
  toClient: Uint8Array<ArrayBuffer>;
  backend: AckedBackendSnapshot;
  /** What is dialled; missing: a backend has been reached. */
  wanted: Wanted | undefined;
  /** Milliseconds left to a client that is away, and to one of which one direction has ended, where their time runs. */
  awayLeft: number | undefined;
  halfOpenLeft: number | undefined;
}

/** A timer, and when it is due, by `performance.now()`. */
interface Timer {
  id: ReturnType<typeof setTimeout>;
  at: number;
}

/**
 * The proxy's end of a session of version 2: a client that may break, joined with a backend that does not. A machine of events, as
 * that of version 1; but each direction ends by itself, and the end is told (protocol: Version 2: Ends).
 */
export class AckedProxySession implements StreamUser, AckedBackendOwner, GuaranteedHolder, Holder, Recorded {
  readonly version = 2;
  readonly #session: AckedSession;
  readonly #stream: AckedStream;
  readonly #terms: AckedSessionTerms;
  readonly #context: AckedSessionContext;
  readonly #record: SessionRecord;
  /** What is dialled. */
  #wanted: Wanted | undefined;
  readonly #backend = new AckedBackend(this);
  readonly #way: AckedWay;
  /** What its client was told to leave last. */
  #movedOff: Via | undefined;
  /** The client has shown that it knows the session. */
  #isKnown = false;
  #isReplacing = false;
  /** The backend may not send more, until the way to the client says so. */
  #isHeldUp = false;
  #isStopping = false;
  /** The client's connection is closed, after the end. */
  #isLeft = false;
  #isOver = false;
  #isClosed = false;
  /** Until `reuse_time` is over, while the client is away; and until `half_open_timeout` is. */
  #awayTimer: Timer | undefined;
  #halfOpenTimer: Timer | undefined;

  /** `client`: who asked for the session. The session is idle until `run`. */
  constructor(session: AckedSession, client: Endpoint, terms: AckedSessionTerms, context: AckedSessionContext) {
    this.#session = session;
    this.#terms = terms;
    this.#context = context;
    const { budget, soon } = context;
    this.#record = new SessionRecord(this, client, context, this);
    budget.guarantee(this);
    this.#stream = new AckedStream(session, this, { liveness: terms.liveness, soon });
    this.#way = new AckedWay(this.#stream, budget);
  }

  /**
   * Goes on where another was, which wrote its snapshot: instead of `run`. Its session is restored from that. Owns the connections that
   * came along.
   */
  goOn(snapshot: AckedProxySessionSnapshot, { client, backend }: Arrived): void {
    const { record, link, wanted, awayLeft, halfOpenLeft } = snapshot;
    this.#isKnown = snapshot.isKnown;
    this.#way.held = snapshot.toClient;
    this.#isHeldUp = true; // as far as is known
    this.#record.goOn(record, { isAway: !link });
    if (awayLeft !== undefined) this.#endAway(awayLeft);
    if (halfOpenLeft !== undefined) this.#endHalfOpen(halfOpenLeft);
    if (link && client) this.#stream.goOn(flowOf(client.what), link, client.remains.unsent);
    this.#backend.restore(snapshot.backend, backend);
    if (wanted) this.#dial(wanted);
    else this.#stream.takeMore();
    if (link && !client && !this.#isOver) this.lost(NOT_ALONG);
  }

  /** See `MovableFlow`, of its client's connection. */
  get sharesSocket(): boolean {
    return this.#stream.sharesSocket;
  }

  /**
   * Lets go of all, as the session goes on elsewhere: it is over here, and nobody is told. `undefined`: it cannot, as it has ended, or
   * its backend has no connection that can go along.
   */
  leave(): Parting<AckedProxySessionSnapshot> | undefined {
    if (this.#isStopping || !this.#backend.isMovable) return undefined;
    // Its connection does not go along, and where that is of KCP nothing tells the client of its end.
    if (this.#stream.isCarriedOn) this.move("");
    const left = this.#stream.isMovable ? undefined : this.#stream.putAside(NOT_ALONG);
    if (this.#stream.isEnded) return void left?.close();
    const snapshot = this.#snapshot;
    const client = this.#stream.leave() as LetGo<MovableFlow> | undefined;
    const backend = this.#backend.leave();
    this.#isOver = this.#isClosed = true;
    clearTimeout(this.#awayTimer?.id);
    clearTimeout(this.#halfOpenTimer?.id);
    this.#record.leave();
    this.#context.onLeft(this);
    this.#terms.onGone();
    return { snapshot, client, backend, left };
  }

  get #snapshot(): AckedProxySessionSnapshot {
    const { key, reuseTime, liveness: { pingInterval, pingTimeout } } = this.#terms;
    this.#session.trim();
    return {
      session: this.#session.snapshot,
      terms: { key: key.bytes, reuseTime, pingInterval, pingTimeout },
      record: this.#record.snapshot,
      isKnown: this.#isKnown,
      link: this.#stream.standing,
      toClient: this.#way.held.slice(),
      backend: this.#backend.snapshot,
      wanted: this.#wanted,
      awayLeft: this.#stream.isAttached ? undefined : leftOf(this.#awayTimer),
      halfOpenLeft: leftOf(this.#halfOpenTimer),
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
    this.#stream.attach(flowOf(link), { first: answer, received: this.#session.sent, rest }); // nothing was
    this.#dial({ target, flag, remote, local });
  }

  #dial(wanted: Wanted): void {
    this.#wanted = wanted;
    const { target, flag, remote, local } = wanted;
    const client = { remote, local, sessionId: this.id };
    this.#backend.dial((signal) => this.#context.connect({ target, flag, client, signal }));
  }

  /**
   * Resumes over `link`, which it owns when this returns. Throws `ScpError`, and then the caller still has the link: 401 or 403, and
   * nothing has changed but that the index may be used; 406, and it has ended.
   */
  resume(link: ClientLink, { request, proof, rest, dialect }: {
    request: ResumeRequest;
    proof: Proof;
    rest: Uint8Array;
    /** How the connection speaks. */
    dialect: Dialect;
  }): void {
    const { key } = this.#terms;
    const { index } = request;
    key.assertProves(request, proof);
    this.#session.useIndex(index);
    this.#isKnown = true;
    this.#assertPosition(proof.value);
    this.#isReplacing = true;
    this.#stream.detach(`replaced by ${formatEndpoint(link.remote)}`);
    this.#isReplacing = false;
    if (this.#stream.isEnded) throw this.#refusal(new ScpError(404, "the session has ended"));
    clearTimeout(this.#awayTimer?.id);
    this.#record.resumed(link, this.#session.sent - proof.value);
    const { received } = this.#session;
    const mac = key.sign(resumedProofText(index, received));
    const answer = encodeRecord(resumedContent(dialect, { value: received, mac }));
    this.#stream.attach(flowOf(link), { first: answer, received: proof.value, rest });
  }

  /** Ends the session as the proxy stops: that of a client that is away at once, others have their time. */
  stop(): void {
    this.#isStopping = true;
    if (this.state !== "attached") this.#end("shutdown");
  }

  /** Ends the session at once; and what is left of one that has ended. */
  abort(kind: "shutdown" | "admin", reason?: string): void {
    if (this.#isOver) this.#backend.cutShort();
    else this.#end(kind, reason);
  }

  /** See `GuaranteedHolder`. */
  endForMemory(): void {
    this.#end("limit", "limits.cache_bytes: it holds more than any other");
  }

  /** See `Recorded`. */
  get cacheInUse(): number {
    const { cacheInUse, windowInUse } = this.#session;
    return cacheInUse + Math.max(0, windowInUse - FREE_WINDOW) + this.#way.heldInUse;
  }

  get dialect(): Dialect {
    return this.#session.dialect;
  }

  get received(): number {
    return this.#session.bytes.received;
  }

  get sent(): number {
    return this.#session.bytes.sent;
  }

  /** See `Holder`: its memory stays whether its client is there or not. */
  cameIn(): void {}
  wentAway(): void {}
  left(): void {
    this.#context.budget.left(this);
  }

  /** Bytes of memory of what the client sent and the backend has not taken. */
  get windowInUse(): number {
    return this.#session.windowInUse;
  }

  /** Tells the client to come over another connection: see `StreamUser.moved`. Gives whether it is there. */
  move(url: string): boolean {
    if (!this.#stream.move(url)) return false;
    this.#context.stats.moves++;
    this.#record.log("session told to move", { url });
    return true;
  }

  /** Tells a client whose connection that process carries to come over another one, once for each. Gives whether it did. */
  moveOff(instance: string, urlFor: (transport: Transport, dialect: Dialect) => string): boolean {
    const { via } = this.#record;
    if (via?.instance !== instance || via === this.#movedOff) return false;
    const isTold = this.move(urlFor(via.transport, this.dialect));
    if (isTold) this.#movedOff = via;
    return isTold;
  }

  /** Looks whether either end is gone, and says what is to be said: to be called about once a second; milliseconds, 0: never. */
  look(upstreamAckTimeout: number): void {
    const now = performance.now();
    const wasAttached = this.#stream.isAttached;
    this.#stream.look(now);
    // That takes a link away for its silence, and for nothing else.
    if (wasAttached && !this.#stream.isAttached) this.#context.stats.pingTimeouts++;
    if (this.#stream.isEnded) return;
    this.#backend.look(this.#session.consumed, upstreamAckTimeout, now);
    this.#record.silence(false);
    this.#record.account();
  }

  get state(): SessionState {
    if (this.#backend.isDialling) return "connecting";
    return this.#stream.isAttached ? "attached" : "detached";
  }

  /** What it has carried. */
  get bytes(): { received: number; sent: number } {
    return this.#session.bytes;
  }

  /** How it is now. */
  describe(): SessionInfo {
    return this.#record.describe(this.state);
  }

  take(bytes: Uint8Array<ArrayBuffer>): number {
    return this.#backend.feed(bytes, this.#session.waiting);
  }

  ended(): boolean {
    const isTaken = this.#backend.endOfInput();
    if (isTaken) this.#watchHalfOpen();
    return isTaken;
  }

  changed(): void {
    if (this.#stream.isEnded) return;
    if (this.#backend.isBroken) this.#session.drain(this);
    const wasHeldUp = this.#isHeldUp;
    if (wasHeldUp && this.#way.goOn()) {
      this.#isHeldUp = false;
      this.#backend.resume();
    }
    if (wasHeldUp || this.#session.waiting > 0) this.#record.account();
    this.#endIfDone();
  }

  lost(reason: string): void {
    this.#record.lost(reason, { isAway: !this.#isReplacing });
    if (this.#isReplacing) return;
    // A client that did not get the answer does not know the session: nobody can resume it.
    if (!this.#isKnown && !this.#stream.isAnswered) return this.#end("unanswered");
    if (this.#isStopping) return this.#end("shutdown");
    this.#endAway(this.#terms.reuseTime);
  }

  /** Unless its client comes within that time. */
  #endAway(time: number): void {
    this.#awayTimer = timer(time, () => {
      const { failure } = this.#backend;
      if (failure !== undefined) this.#end("upstream_failed", failure);
      else this.#end("reuse_timeout", `${END_REASONS.reuse_timeout} (scp.v2.reuse_time)`);
    });
  }

  closed(code: number, reason: string): void {
    const kind = code === END.done ? "client_closed" : "client_gave_up";
    const why = code === END.done || code === END.gaveUp ? "" : ` (${code}, ${meaningOf(code)})`;
    this.#end(kind, END_REASONS[kind] + why + (reason === "" ? "" : `: ${reason}`), { code });
  }

  failed(reason: string): void {
    this.#end("protocol_error", `${END_REASONS.protocol_error}: ${reason}`, { said: reason });
  }

  moved(): void {
    this.failed("a MOVE, which only a server sends");
  }

  fromBackend(bytes: Uint8Array<ArrayBuffer>): boolean {
    const before = this.#session.cacheInUse;
    this.#isHeldUp = !this.#way.send(bytes);
    if (this.#isHeldUp || this.#session.cacheInUse !== before) this.#record.account();
    return !this.#isHeldUp;
  }

  backendTakesMore(): void {
    this.#stream.takeMore();
  }

  backendReached(backend: Backend): void {
    this.#record.began(this.#wanted!, backend);
    this.#wanted = undefined;
    this.#stream.takeMore();
    this.#backend.resume();
  }

  backendMissed(error: unknown): void {
    this.#end("no_upstream", reasonOf(error));
  }

  backendChanged(reason: string): void {
    this.#record.log("upstream closed", { reason });
    this.#watchHalfOpen();
    if (this.#backend.failure !== undefined) this.#stream.takeMore();
    else this.#stream.finish(); // nothing is held: it would not have been read to its end
    this.#endIfDone();
  }

  backendLeft(): void {
    this.#closeWhole();
  }

  /** Ends the session when both directions have ended; or the client has all of a backend that has broken off. */
  #endIfDone(): void {
    const { hasEnded, failure } = this.#backend;
    if (this.#isOver || (!hasEnded && failure === undefined)) return;
    const { isSentDone, isReceivedDone, sent, acked } = this.#session;
    if (failure !== undefined) {
      if (sent === acked && !this.#way.isHolding) this.#end("upstream_failed", failure);
    } else if (isSentDone && isReceivedDone) this.#end("upstream_closed");
  }

  #watchHalfOpen(): void {
    clearTimeout(this.#halfOpenTimer?.id);
    this.#halfOpenTimer = undefined;
    const timeout = this.#context.halfOpenTimeout();
    const { failure, hasEnded, isInputEnded } = this.#backend;
    const isClosed = failure === undefined && hasEnded && isInputEnded;
    if (timeout > 0 && !isClosed) this.#endHalfOpen(timeout);
  }

  #endHalfOpen(time: number): void {
    this.#halfOpenTimer = timer(time, () => {
      const timeout = this.#context.halfOpenTimeout();
      this.#end("limit", `it was half-closed for ${timeout} ms (scp.v2.half_open_timeout)`);
    });
  }

  #assertPosition(received: number): void {
    try {
      this.#session.assertPosition(received);
    } catch (error) {
      if ((error as ScpError).code === 406) this.#end("not_resumable", reasonOf(error));
      throw this.#refusal(error);
    }
  }

  /** Of a resume that was authorised. */
  #refusal(error: unknown): unknown {
    this.#context.stats.reuseFails++;
    return error;
  }

  /** `said`: what the client is told, beside the code. */
  #end(kind: EndKind, reason = END_REASONS[kind], { code = CODES[kind], said = meaningOf(code) } = {}): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#awayTimer?.id);
    clearTimeout(this.#halfOpenTimer?.id);
    this.#record.ended(kind, reason);
    this.#context.onEnded(this.#session, kind, code, this.#terms);
    this.#terms.onGone();
    const { received, consumed } = this.#session;
    this.#backend.end(kind === "client_closed" && received === consumed);
    this.#stream.close(code, said, () => {
      this.#isLeft = true;
      this.#closeWhole();
    });
  }

  /** All is closed when the client's connection is, and the backend's. */
  #closeWhole(): void {
    if (!this.#isLeft || !this.#backend.isClosed || this.#isClosed) return;
    this.#isClosed = true;
    this.#backend.release();
    this.#context.onClosed(this);
  }
}

function timer(time: number, callback: () => void): Timer {
  return { id: setTimeout(callback, time), at: performance.now() + time };
}

/** Milliseconds. */
function leftOf(timer: Timer | undefined): number | undefined {
  return timer && Math.max(0, timer.at - performance.now());
}
