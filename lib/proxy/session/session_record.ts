import { type Endpoint, formatEndpoint } from "../../link/link.ts";
import type { Fields, Log } from "../../log.ts";
import type { Dialect, Session } from "../../scp/mod.ts";
import type { CacheBudget, CacheHolder } from "./cache_budget.ts";
import type { EndKind, Stats } from "../stats.ts";

/** What a session is doing. `connecting`: there is no backend yet. `detached`: its client is away. */
export const SESSION_STATES = ["connecting", "attached", "detached"] as const;
export type SessionState = (typeof SESSION_STATES)[number];

/** What is known of a session, for people and machines. */
export interface SessionInfo {
  id: number;
  state: SessionState;
  client: string;
  /** `none` while it is connecting. */
  upstream: string;
  target: string;
  dialect: Dialect;
  /** When it began, and when its client was last heard of, to the second: milliseconds since 1970. */
  since: number;
  lastSeen: number;
  received: number;
  sent: number;
  /** Bytes of memory that its resend cache holds. */
  cache: number;
  resumes: number;
}

/** Where sessions are told of and counted. */
export interface SessionBooks {
  log: Log;
  stats: Stats;
  budget: CacheBudget;
}

/** What ended a session, for the log. */
export const END_REASONS: Record<EndKind, string> = {
  upstream_closed: "upstream closed",
  upstream_failed: "upstream failed",
  no_upstream: "no upstream could be reached",
  reuse_timeout: "reuse_time is over",
  not_resumable: "the client lacks what is not held any more",
  unanswered: "the answer could not be sent",
  shutdown: "shutdown",
  admin: "ended by the manager",
};

/** What is known of a session beside its bytes, as plain data. */
export interface RecordSnapshot {
  client: Endpoint;
  target: string;
  upstream: string;
  /** Milliseconds since 1970. */
  since: number;
  resumes: number;
  resent: number;
}

/** Bytes that a cache which has to shrink keeps beside what was not acknowledged: the client's system may hold as much. */
const KEPT = 64 * 1024;

/** What is told and counted of one session. */
export class SessionRecord implements CacheHolder {
  readonly #session: Session;
  readonly #books: SessionBooks;
  #begun = Date.now();
  #since = performance.now();
  readonly #unacknowledged: () => number;
  #client: Endpoint;
  #target = "";
  #upstream = "none";
  /** When its client was last heard of, by a clock that nobody sets. */
  #heardAt = performance.now();
  /** Bytes received when it was last looked at. */
  #receivedThen = 0;
  #lostAt = 0;
  #resumes = 0;
  #resent = 0;
  /** What the budget knows of the resend cache. */
  #accounted = 0;
  #ended = false;

  /** `unacknowledged`: bytes that the client may not have got, as far as is known. */
  constructor(session: Session, client: Endpoint, books: SessionBooks, unacknowledged: () => number) {
    this.#session = session;
    this.#client = client;
    this.#books = books;
    this.#unacknowledged = unacknowledged;
    books.budget.cameIn(this);
  }

  /** Goes on where another was, which wrote its `snapshot`. The client is away. */
  goOn({ client, target, upstream, since, resumes, resent }: RecordSnapshot): void {
    this.#client = client;
    this.#target = target;
    this.#upstream = upstream;
    this.#begun = since;
    this.#since = performance.now() - (Date.now() - since);
    this.#resumes = resumes;
    this.#resent = resent;
    this.#receivedThen = this.#session.received;
    this.#lostAt = performance.now();
    this.account();
    this.#books.budget.wentAway(this);
  }

  get snapshot(): RecordSnapshot {
    return {
      client: this.#client,
      target: this.#target,
      upstream: this.#upstream,
      since: this.#begun,
      resumes: this.#resumes,
      resent: this.#resent,
    };
  }

  /** It has a backend. */
  began({ target, upstream, local }: { target: string; upstream: string; local: Endpoint }): void {
    this.#target = target;
    this.#upstream = upstream;
    this.log("session new", { local: formatEndpoint(local), target });
  }

  /** The link of its client is gone; `isAway`: and the client with it. */
  lost(reason: string, { isAway }: { isAway: boolean }): void {
    this.#lostAt = performance.now();
    this.log("session lost", { ...this.#bytes(), reason });
    this.account();
    if (isAway) this.#books.budget.wentAway(this);
  }

  /** Its client came back from there, and is sent so many bytes again. */
  resumed(client: Endpoint, resent: number): void {
    this.#client = client;
    this.#resumes++;
    this.#resent += resent;
    this.#heardAt = performance.now();
    const gap = performance.now() - this.#lostAt;
    const { stats, budget } = this.#books;
    budget.cameIn(this);
    stats.gap.observe(gap / 1000);
    stats.resent.observe(resent);
    this.log("session resumed", { ...this.#bytes(), gap_ms: Math.round(gap), resent });
  }

  /** It is over: to be called once. */
  ended(kind: EndKind, reason: string): void {
    this.#ended = true;
    const { stats, budget } = this.#books;
    stats.sessionsEnded[kind]++;
    stats.bytesReceived += this.#session.received;
    stats.bytesSent += this.#session.sent;
    budget.left(this);
    this.account();
    this.log("session ended", {
      ...this.#bytes(),
      resumes: this.#resumes,
      resent: this.#resent,
      duration_ms: Math.round(performance.now() - this.#since),
      reason,
    });
  }

  /** Tells the budget how much memory the resend cache has come to hold; that of an ended session is gone. */
  account(): void {
    const now = this.#ended ? 0 : this.#session.cacheInUse;
    if (now === this.#accounted) return;
    const more = now - this.#accounted;
    this.#accounted = now;
    this.#books.budget.add(more);
  }

  get cacheInUse(): number {
    return this.#session.cacheInUse;
  }

  shrinkCache(): void {
    const before = this.cacheInUse;
    this.#session.shrinkCache(this.#unacknowledged() + KEPT);
    if (this.cacheInUse === before) return;
    this.account();
    this.log("resend cache shrunk", { from: before, to: this.cacheInUse, reason: "limits.cache_bytes" });
  }

  releaseCache(): void {
    this.#session.releaseCache();
    this.account();
    this.log("resend cache released", { reason: "limits.cache_bytes" });
  }

  /** Looks whether the client was heard of since the last look, or `heard` says so. Gives for how many milliseconds it was not. */
  silence(heard: boolean): number {
    const { received } = this.#session;
    if (heard || received !== this.#receivedThen) this.#heardAt = performance.now();
    this.#receivedThen = received;
    return performance.now() - this.#heardAt;
  }

  /** How it is now. */
  describe(state: SessionState): SessionInfo {
    return {
      id: this.#session.id,
      state,
      client: formatEndpoint(this.#client),
      upstream: this.#upstream,
      target: this.#target,
      dialect: this.#session.dialect,
      since: this.#begun,
      lastSeen: Math.round(Date.now() - (performance.now() - this.#heardAt)),
      ...this.#bytes(),
      cache: this.#session.cacheInUse,
      resumes: this.#resumes,
    };
  }

  /** A line of the log, with what tells this session from others. */
  log(event: string, fields: Fields): void {
    const client = formatEndpoint(this.#client);
    this.#books.log.info(event, { id: this.#session.id, client, upstream: this.#upstream, ...fields });
  }

  #bytes(): { received: number; sent: number } {
    return { received: this.#session.received, sent: this.#session.sent };
  }
}
