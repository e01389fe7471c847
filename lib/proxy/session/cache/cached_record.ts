import type { Endpoint } from "../../../link/link.ts";
import type { Session } from "../../../scp/mod.ts";
import type { CacheHolder } from "./cache_budget.ts";
import { type SessionBooks, SessionRecord } from "../session_record.ts";

/** Bytes that a cache which has to shrink keeps beside what was not acknowledged: the client's system may hold as much. */
const KEPT = 64 * 1024;

/** The record of a session of version 1, of which the resend cache gives way when there is too little memory. */
export class CachedRecord extends SessionRecord implements CacheHolder {
  readonly #cached: Session;
  readonly #unacknowledged: () => number;

  /** `unacknowledged`: bytes that the client may not have got, as far as is known. */
  constructor(session: Session, client: Endpoint, books: SessionBooks, unacknowledged: () => number) {
    const { budget } = books;
    super(session, client, books, {
      cameIn: () => budget.cameIn(this),
      wentAway: () => budget.wentAway(this),
      left: () => budget.left(this),
    });
    this.#cached = session;
    this.#unacknowledged = unacknowledged;
    budget.cameIn(this);
  }

  get cacheInUse(): number {
    return this.#cached.cacheInUse;
  }

  shrinkCache(): void {
    const before = this.cacheInUse;
    this.#cached.shrinkCache(this.#unacknowledged() + KEPT);
    if (this.cacheInUse === before) return;
    this.account();
    this.log("resend cache shrunk", { from: before, to: this.cacheInUse, reason: "limits.cache_bytes" });
  }

  releaseCache(): void {
    this.#cached.releaseCache();
    this.account();
    this.log("resend cache released", { reason: "limits.cache_bytes" });
  }
}
