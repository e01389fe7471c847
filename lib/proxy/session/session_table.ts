import type { Config } from "../../config.ts";
import type { ClientLink } from "../../link/link.ts";
import { accept, answerRecord, type Dialect, type NewRequest, type ResumeRequest, ScpError } from "../../scp/mod.ts";
import type { CacheBudget } from "./cache_budget.ts";
import type { Seams } from "../seams.ts";
import { ProxySession } from "./session.ts";
import { ownerBits, SessionIds } from "./session_ids.ts";
import type { SessionInfo } from "./session_record.ts";
import type { Upstreams } from "../upstream/upstream.ts";

/** How many of the sessions that have ended are remembered. */
const MOST_REMEMBERED = 10_000;

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
  /** The configuration in effect. */
  config: () => Config;
}

/** The sessions of a proxy, by their ids. */
export class SessionTable {
  readonly #options: SessionTableOptions;
  readonly #ids: SessionIds;
  readonly #sessions = new Map<number, ProxySession>();
  /** The ids of the sessions that ended last, in that order. */
  readonly #ended = new Set<number>();
  /** Sessions that are not closed whole, with what settles when they are: an ended one is, when its backend is. */
  readonly #running = new Map<ProxySession, Promise<void>>();

  constructor(options: SessionTableOptions) {
    this.#options = options;
    const { randomU64, cluster: { index: owner, size } } = options.seams;
    this.#ids = new SessionIds(randomU64(), { owner, bits: ownerBits(size) });
  }

  get(id: number): ProxySession | undefined {
    return this.#sessions.get(id);
  }

  /** How each of them is. */
  *describe(): Generator<SessionInfo> {
    for (const session of this.#sessions.values()) yield session.describe();
  }

  /** Begins a session, which owns the link. `onEnded` is called once, as soon as it has ended. */
  open({ link, dialect, request, rest }: Arrival<NewRequest>, onEnded: () => void): void {
    const { seams: { log, stats, randomU64 }, upstreams, budget, config } = this.#options;
    const { reuseBuffer: cacheSize } = config().scp;
    const id = this.#freshId();
    const { session, answer } = accept(request, { id, privateKey: randomU64() || 1n, dialect, cacheSize });
    const proxied = new ProxySession(session, link.remote, {
      log,
      stats,
      budget,
      reuseTime: () => config().scp.reuseTime,
      cacheSize,
      connect: (backendRequest) => upstreams.connect(backendRequest),
      onEnded: () => {
        this.#sessions.delete(id);
        this.#remember(id);
        onEnded();
      },
    });
    // Before the answer is sent: the client may resume as soon as it knows the id.
    this.#sessions.set(id, proxied);
    stats.sessionsBegun++;
    const run = proxied.run(link, { answer, rest, target: request.target, flag: request.flag });
    this.#running.set(proxied, run.finally(() => this.#running.delete(proxied)));
  }

  /** Resumes a session, which owns the link when this settles. Throws `ScpError`, and then the caller still has the link. */
  async resume({ link, dialect, request, rest }: Arrival<ResumeRequest>): Promise<void> {
    const session = this.#sessions.get(request.id);
    if (!session) throw new ScpError(404, `no session ${request.id}`);
    const answer = (received: number) => answerRecord({ received, code: 200 }, dialect);
    await session.resume(link, { request, rest, answer });
  }

  /** Whether a session of that id has ended not long ago. */
  endedLately(id: number): boolean {
    return this.#ended.has(id);
  }

  /** Looks at every session: to be called about once a second. */
  look(): void {
    const { readTimeout } = this.#options.config().tcpOption;
    for (const session of this.#sessions.values()) session.look(readTimeout);
  }

  /** Ends every session in order: see `ProxySession.stop`. */
  stop(): void {
    for (const session of this.#sessions.values()) session.stop();
  }

  /** Ends at once what has not come to its end. */
  abort(reason: string): void {
    for (const session of this.#running.keys()) session.abort("shutdown", reason);
  }

  /** Settles when all are closed whole. */
  async closed(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  #remember(id: number): void {
    this.#ended.add(id);
    const [oldest] = this.#ended;
    if (this.#ended.size > MOST_REMEMBERED) this.#ended.delete(oldest!);
  }

  #freshId(): number {
    for (;;) {
      const id = this.#ids.next();
      if (!this.#sessions.has(id)) return id;
    }
  }
}
