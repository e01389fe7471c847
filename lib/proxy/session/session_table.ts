import type { Config } from "../../config.ts";
import { Condition } from "../../link/condition.ts";
import { type ClientLink, lingeringClose, writeAll } from "../../link/link.ts";
import { turn } from "../../link/turn.ts";
import {
  accept,
  answerRecord,
  type Dialect,
  type NewRequest,
  type ResumeRequest,
  ScpError,
  type Session,
} from "../../scp/mod.ts";
import type { InFlight } from "./in_flight.ts";
import type { CacheBudget } from "./cache_budget.ts";
import type { Seams } from "../seams.ts";
import { ProxySession } from "./session.ts";
import { ownerBits, SessionIds } from "./session_ids.ts";
import type { SessionInfo, SessionState } from "./session_record.ts";
import type { Upstreams } from "../upstream/upstream.ts";

/** How many of the sessions that have ended are remembered. */
const MOST_REMEMBERED = 10_000;

/** Sessions that are looked at in one turn. */
const LOOKS = 200;

/** A request, with the connection it came on. */
export interface Arrival<Request> {
  link: ClientLink;
  dialect: Dialect;
  request: Request;
  /** Bytes of the stream that came with the request. */
  rest: Uint8Array;
}

/** What a session table needs of the proxy it is in. */
export interface SessionTableOptions {
  seams: Seams;
  upstreams: Upstreams;
  budget: CacheBudget;
  inFlight: InFlight;
  /** The configuration in effect. */
  config: () => Config;
}

/** The sessions of a proxy, by their ids. */
export class SessionTable {
  readonly #options: SessionTableOptions;
  readonly #ids: SessionIds;
  readonly #sessions = new Map<number, ProxySession>();
  /** The ids of the sessions that ended last, in that order; of those that came to their end in order, what answers a resume. */
  readonly #ended = new Map<number, Session | undefined>();
  /** Until when each of these is answered, in the same order. */
  readonly #answered = new Map<number, number>();
  /** Connections that are told that their session has come to its end, with what settles when they are closed. */
  readonly #ending = new Map<ClientLink, Promise<void>>();
  /** Sessions that are not closed whole: an ended one is, when its backend is. */
  readonly #running = new Set<ProxySession>();
  readonly #closed = new Condition();
  #isLooking = false;

  constructor(options: SessionTableOptions) {
    this.#options = options;
    const { randomU64, cluster: { index: owner, size } } = options.seams;
    this.#ids = new SessionIds(randomU64(), { owner, bits: ownerBits(size) });
  }

  get(id: number): ProxySession | undefined {
    return this.#sessions.get(id);
  }

  /** How many there are, and what they have carried. */
  count(): { sessions: Record<SessionState, number>; bytesReceived: number; bytesSent: number } {
    const sessions = { connecting: 0, attached: 0, detached: 0 };
    let [bytesReceived, bytesSent] = [0, 0];
    for (const { state, bytes: { received, sent } } of this.#sessions.values()) {
      sessions[state]++;
      bytesReceived += received;
      bytesSent += sent;
    }
    return { sessions, bytesReceived, bytesSent };
  }

  /** How each of them is. */
  *describe(): Generator<SessionInfo> {
    for (const session of this.#sessions.values()) yield session.describe();
  }

  /** Begins a session, which owns the link. `onEnded` is called once, as soon as it has ended. */
  open({ link, dialect, request, rest }: Arrival<NewRequest>, onEnded: () => void): void {
    const { seams: { log, stats, randomU64 }, upstreams, budget, inFlight, config } = this.#options;
    const { reuseBuffer: cacheSize } = config().scp;
    const id = this.#freshId();
    const { session, answer } = accept(request, { id, privateKey: randomU64() || 1n, dialect, cacheSize });
    const proxied = new ProxySession(session, link.remote, {
      log,
      stats,
      budget,
      inFlight,
      reuseTime: () => config().scp.reuseTime,
      cacheSize,
      connect: (backendRequest) => upstreams.connect(backendRequest),
      onEnded: (kind) => {
        this.#sessions.delete(id);
        this.#remember(session, kind === "upstream_closed");
        onEnded();
      },
      onClosed: () => {
        this.#running.delete(proxied);
        this.#closed.notify();
      },
    });
    // Before the answer is sent: the client may resume as soon as it knows the id.
    this.#sessions.set(id, proxied);
    stats.sessionsBegun++;
    this.#running.add(proxied);
    proxied.run(link, { answer, rest, target: request.target, flag: request.flag });
  }

  /** Resumes a session, which owns the link when this returns. Throws `ScpError`, and then the caller still has the link. */
  resume({ link, dialect, request, rest }: Arrival<ResumeRequest>): void {
    const answer = (received: number) => answerRecord({ received, code: 200 }, dialect);
    const session = this.#sessions.get(request.id);
    if (session?.resume(link, { request, rest, answer })) return;
    const ended = this.#ended.get(request.id);
    if (!ended) throw new ScpError(404, `no session ${request.id}`);
    // Else the request has been looked at already.
    if (!session) {
      ended.authorize(request);
      ended.missing(request.received);
    }
    const told = tellEnd(link, answer(ended.receivedOnWire)).finally(() => this.#ending.delete(link));
    this.#ending.set(link, told);
  }

  /** Whether a session of that id has ended not long ago. */
  endedLately(id: number): boolean {
    return this.#ended.has(id);
  }

  /** Looks at every session: to be called about once a second. Settles when it has; what else there is has its turns meanwhile. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    let looks = 0;
    for (const session of this.#sessions.values()) {
      const { tcpOption, upstreamOption } = this.#options.config();
      session.look(tcpOption.readTimeout, tcpOption.ackTimeout, upstreamOption.ackTimeout);
      if (++looks % LOOKS === 0) await turn();
    }
    this.#isLooking = false;
    this.#forgetEnded();
  }

  #forgetEnded(): void {
    const now = this.#options.seams.now();
    for (const [id, until] of this.#answered) {
      if (until > now) break;
      this.#forget(id);
    }
  }

  /** Ends every session in order: see `ProxySession.stop`. */
  stop(): void {
    for (const session of this.#sessions.values()) session.stop();
  }

  /** Ends at once what has not come to its end. */
  abort(reason: string): void {
    for (const session of this.#running) session.abort("shutdown", reason);
    for (const link of this.#ending.keys()) link.close();
  }

  /** Settles when all are closed whole. */
  async closed(): Promise<void> {
    while (this.#running.size + this.#ending.size > 0) {
      if (this.#running.size > 0) await this.#closed.wait();
      await Promise.all(this.#ending.values());
    }
  }

  /** For the answers to its resumes, as often as one comes within `reuse_time`; of what it lacks nothing is held any more. */
  #remember(session: Session, inOrder: boolean): void {
    session.retire();
    this.#ended.set(session.id, inOrder ? session : undefined);
    if (inOrder) this.#answered.set(session.id, this.#options.seams.now() + this.#options.config().scp.reuseTime);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size <= MOST_REMEMBERED) return;
    this.#ended.delete(oldest!);
    this.#answered.delete(oldest!);
  }

  /** Its resumes meet 404 from now on. */
  #forget(id: number): void {
    this.#answered.delete(id);
    this.#ended.set(id, undefined);
  }

  #freshId(): number {
    for (;;) {
      const id = this.#ids.next();
      if (!this.#sessions.has(id)) return id;
    }
  }
}

/** Answers, and ends the stream: never rejects. */
async function tellEnd(link: ClientLink, answer: Uint8Array): Promise<void> {
  await writeAll(link, answer).catch(() => {}); // it is gone: it may come again
  await lingeringClose(link);
}
