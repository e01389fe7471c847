import { type ClientLink, type Endpoint, formatEndpoint, type Via } from "../../link/link.ts";
import type { Fields, Log } from "../../log.ts";
import type { Dialect } from "../../scp/mod.ts";
import type { Backend } from "../upstream/upstream.ts";
import type { CacheBudget } from "./cache/cache_budget.ts";
import type { Wanted } from "./move/parting.ts";
import type { EndKind, Stats } from "../stats.ts";

/** What a session is doing. `connecting`: there is no backend yet. `detached`: its client is away. */
export const SESSION_STATES = ["connecting", "attached", "detached"] as const;
export type SessionState = (typeof SESSION_STATES)[number];

/** What is known of a session, for people and machines. */
export interface SessionInfo {
  id: number;
  state: SessionState;
  client: string;
  /** The slot of the node that has it; missing: the process is alone. */
  node?: number;
  /** The process that carries its client's connection to there, or did last; missing: it came to that node itself. */
  via?: string;
  /** `none` while it is connecting. */
  upstream: string;
  target: string;
  /** Of the protocol. */
  version: 1 | 2;
  dialect: Dialect;
  /** When it began, and when its client was last heard of, to the second: milliseconds since 1970. */
  since: number;
  lastSeen: number;
  received: number;
  sent: number;
  /** Bytes of memory that its resend cache holds, and with version 2 its window's buffer and what has no room in the cache. */
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
  client_closed: "closed by the client",
  client_gave_up: "given up by the client",
  protocol_error: "the client broke the protocol",
  limit: "a limit",
};

/** What is known of a session beside its bytes, as plain data. */
export interface RecordSnapshot {
  client: Endpoint;
  /** The address that asked for the session, which limits count. */
  origin: string;
  target: string;
  /** The address of its backend's host, and its name; "none" and empty: there is none yet. */
  upstream: string;
  host: string;
  /** Milliseconds since 1970. */
  since: number;
  resumes: number;
  resent: number;
  /** Milliseconds since its client was last heard of, and since its link was lost: of one whose client is away. */
  heardFor: number;
  lostFor: number;
}

/** What is told and counted of: one end of a session, of either version. */
export interface Recorded {
  readonly id: number;
  readonly version: 1 | 2;
  readonly dialect: Dialect;
  /** Bytes of the streams. */
  readonly received: number;
  readonly sent: number;
  /** Bytes of memory that count against the budget. */
  readonly cacheInUse: number;
}

/** How the budget hears of the memory that a session holds. */
export interface Holder {
  /** Its client is there, for the first time or again; and is away. */
  cameIn(): void;
  wentAway(): void;
  /** It is gone. */
  left(): void;
}

/** What is told and counted of one session. */
export class SessionRecord {
  readonly #session: Recorded;
  readonly #books: SessionBooks;
  #begun = Date.now();
  #since = performance.now();
  readonly #holder: Holder;
  #client: Endpoint;
  #origin: string;
  /** Who carries its client's connection, or did last. */
  via: Via | undefined;
  #target = "";
  #upstream = "none";
  #host = "";
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

  /** Its client is there, which the holder knows. */
  constructor(session: Recorded, client: Endpoint, books: SessionBooks, holder: Holder) {
    this.#session = session;
    this.#client = client;
    this.#origin = client.hostname;
    this.#books = books;
    this.#holder = holder;
  }

  /** Goes on where another was, which wrote its `snapshot`. */
  goOn(snapshot: RecordSnapshot, { isAway }: { isAway: boolean }): void {
    const now = performance.now();
    this.#client = snapshot.client;
    this.#origin = snapshot.origin;
    this.#target = snapshot.target;
    this.#upstream = snapshot.upstream;
    this.#host = snapshot.host;
    this.#begun = snapshot.since;
    this.#since = now - (Date.now() - snapshot.since);
    this.#resumes = snapshot.resumes;
    this.#resent = snapshot.resent;
    this.#receivedThen = this.#session.received;
    this.#heardAt = now - snapshot.heardFor;
    this.#lostAt = now - snapshot.lostFor;
    this.account();
    if (isAway) this.#holder.wentAway();
  }

  /** The session goes on elsewhere: nothing is told or counted of it here any more. */
  leave(): void {
    this.#ended = true;
    this.#holder.left();
    this.account();
  }

  get snapshot(): RecordSnapshot {
    const now = performance.now();
    return {
      client: this.#client,
      origin: this.#origin,
      target: this.#target,
      upstream: this.#upstream,
      host: this.#host,
      since: this.#begun,
      resumes: this.#resumes,
      resent: this.#resent,
      heardFor: now - this.#heardAt,
      lostFor: now - this.#lostAt,
    };
  }

  /** It has a backend. */
  began({ target, local }: Wanted, { name, address }: Backend): void {
    this.#target = target;
    this.#upstream = address;
    this.#host = name;
    this.log("session new", { local: formatEndpoint(local), target, version: this.#session.version });
  }

  /** The link of its client is gone; `isAway`: and the client with it. */
  lost(reason: string, { isAway }: { isAway: boolean }): void {
    this.#lostAt = performance.now();
    this.log("session lost", { ...this.#bytes(), reason });
    this.account();
    if (isAway) this.#holder.wentAway();
  }

  /** Its client came back over that link, and is sent so many bytes again. */
  resumed({ remote, via }: ClientLink, resent: number): void {
    this.#client = remote;
    this.via = via;
    this.#resumes++;
    this.#resent += resent;
    this.#heardAt = performance.now();
    const gap = performance.now() - this.#lostAt;
    const { stats } = this.#books;
    this.#holder.cameIn();
    stats.gap.observe(gap / 1000);
    stats.resent.observe(resent);
    this.log("session resumed", { ...this.#bytes(), gap_ms: Math.round(gap), resent });
  }

  /** It is over: to be called once. */
  ended(kind: EndKind, reason: string): void {
    this.#ended = true;
    const { stats } = this.#books;
    stats.sessionsEnded[kind]++;
    stats.bytesReceived += this.#session.received;
    stats.bytesSent += this.#session.sent;
    this.#holder.left();
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
      ...(this.via && { via: this.via.instance }),
      upstream: this.#upstream,
      target: this.#target,
      version: this.#session.version,
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
