import { CACHE_UNIT, SharedState } from "../shared_state.ts";

/** One whose resend cache counts against the budget. */
export interface CacheHolder {
  /** Gives the memory of its resend cache back; it tells the budget, by `add`. */
  releaseCache(): void;
}

/**
 * The memory of all resend caches together, those of other threads too. When it is more than the limit, the caches of those of
 * this thread whose clients have been away longest give way: what they held cannot be sent again. The caches of clients that are
 * there are never touched.
 */
export class CacheBudget {
  /** Bytes; 0: no limit. */
  limit: number;
  /** Caches that gave way so far. */
  released = 0;
  readonly #shared: SharedState;
  #inUse = 0;
  /** In the order in which they went. */
  readonly #away = new Set<CacheHolder>();

  constructor(limit: number, shared: SharedState = new SharedState()) {
    this.limit = limit;
    this.#shared = shared;
  }

  /** Bytes in use in this thread. */
  get inUse(): number {
    return this.#inUse;
  }

  /** The most bytes that were ever in use, in all threads. */
  get highWater(): number {
    return this.#shared.cacheHighWater.value * CACHE_UNIT;
  }

  /** Whether there is no room for more. */
  get spent(): boolean {
    return this.limit > 0 && this.#total >= this.limit;
  }

  /** Counts that much more in use, or less. */
  add(bytes: number): void {
    const before = unitsOf(this.#inUse);
    this.#inUse += bytes;
    const { cache, cacheHighWater } = this.#shared;
    const total = cache.add(unitsOf(this.#inUse) - before);
    if (total > cacheHighWater.value) cacheHighWater.set(total);
    if (bytes > 0) this.reclaim();
  }

  /** Says that the client of a holder is away from now on. */
  wentAway(holder: CacheHolder): void {
    this.#away.add(holder);
    this.reclaim();
  }

  /** Says that the client of a holder is back, or that the holder is gone. */
  cameBack(holder: CacheHolder): void {
    this.#away.delete(holder);
  }

  /** Lets caches give way while there are too many bytes, also when it is other threads that came to hold more. */
  reclaim(): void {
    for (const holder of this.#away) {
      if (this.limit === 0 || this.#total <= this.limit) return;
      this.#away.delete(holder);
      holder.releaseCache();
      this.released++;
    }
  }

  get #total(): number {
    return this.#shared.cache.value * CACHE_UNIT;
  }
}

function unitsOf(bytes: number): number {
  return Math.ceil(bytes / CACHE_UNIT);
}
