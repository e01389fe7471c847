import { CACHE_UNIT, SharedState } from "../../shared_state.ts";
import { memoryLimit } from "./memory.ts";

/** The part of the limit down to which caches shrink: else they would again with each byte more. */
const SHRINK_TO = 7 / 8;

/** One whose resend cache counts against the budget. */
export interface CacheHolder {
  /** Bytes of memory of its resend cache. */
  readonly cacheInUse: number;
  /** Gives back what of it is not likely to be needed; it tells the budget, by `add`. */
  shrinkCache(): void;
  /** Gives all of it back, and tells that too. */
  releaseCache(): void;
}

/** One whose memory counts against the budget and can be given back in no other way than by its end. */
export interface GuaranteedHolder {
  /** Bytes of memory. */
  readonly cacheInUse: number;
  /** Ends it; it tells the budget, by `add` and `left`. */
  endForMemory(): void;
}

/** What `limits.cache_bytes` stands for: `auto` is a quarter of the memory that there is. */
export function cacheLimitOf(cacheBytes: number | "auto", memory: () => number = memoryLimit): number {
  return cacheBytes === "auto" ? Math.floor(memory() / 4) : cacheBytes;
}

/**
 * The memory of all resend caches together, and of what waits in windows, those of other threads too. When it is more than the limit,
 * caches of version 1 in this thread give way: first those of clients that are there shrink, the largest first, at most once from one
 * `reclaim` to the next; then those of clients that have been away longest go: what they held cannot be sent again. When that was not
 * enough, from one `reclaim` to the next, in any thread, the sessions of version 2 that hold most are ended: in each thread for its part
 * of what is too much, and none that holds less than all would have if they had the same.
 */
export class CacheBudget {
  /** Bytes; 0: no limit. */
  limit: number;
  /** Caches that went so far, and how often one shrank. */
  released = 0;
  shrunk = 0;
  readonly #shared: SharedState;
  #inUse = 0;
  readonly #here = new Set<CacheHolder>();
  /** In the order in which they went. */
  readonly #away = new Set<CacheHolder>();
  readonly #guaranteed = new Set<GuaranteedHolder>();
  #hasShrunk = false;
  /** There were too many bytes at the last `reclaim`. */
  #wasOver = false;

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
    if (bytes > 0) this.#relieve();
  }

  /** Says that a holder is there with its client, for the first time or again. */
  cameIn(holder: CacheHolder): void {
    this.#away.delete(holder);
    this.#here.add(holder);
  }

  /** Says that the client of a holder is away from now on. */
  wentAway(holder: CacheHolder): void {
    this.#here.delete(holder);
    this.#away.add(holder);
    this.#relieve();
  }

  /** Says that a holder is there whose memory cannot be taken back. */
  guarantee(holder: GuaranteedHolder): void {
    this.#guaranteed.add(holder);
  }

  /** Says that a holder is gone. */
  left(holder: CacheHolder | GuaranteedHolder): void {
    this.#here.delete(holder as CacheHolder);
    this.#away.delete(holder as CacheHolder);
    this.#guaranteed.delete(holder as GuaranteedHolder);
  }

  /** Lets caches give way while there are too many bytes, also when it is other threads that came to hold more: to be called about once a second. */
  reclaim(): void {
    this.#hasShrunk = false;
    this.#relieve();
    if (this.#wasOver && this.#isOver(1)) this.#endLargest();
    this.#wasOver = this.#isOver(1);
  }

  #endLargest(): void {
    const total = this.#total;
    const mine = (total - this.limit) * Math.min(1, this.#inUse / total);
    const share = this.limit / Math.max(this.#shared.sessions.value, this.#guaranteed.size);
    let ended = 0;
    for (const holder of [...this.#guaranteed].toSorted((a, b) => b.cacheInUse - a.cacheInUse)) {
      if (ended >= mine || holder.cacheInUse <= share) return;
      ended += holder.cacheInUse;
      holder.endForMemory();
    }
  }

  #relieve(): void {
    if (!this.#isOver(1)) return;
    if (!this.#hasShrunk) this.#shrink();
    for (const holder of this.#away) {
      if (!this.#isOver(1)) return;
      this.#away.delete(holder);
      holder.releaseCache();
      this.released++;
    }
  }

  #shrink(): void {
    this.#hasShrunk = true;
    for (const holder of [...this.#here].toSorted((a, b) => b.cacheInUse - a.cacheInUse)) {
      if (!this.#isOver(SHRINK_TO)) return;
      const before = holder.cacheInUse;
      holder.shrinkCache();
      if (holder.cacheInUse < before) this.shrunk++;
    }
  }

  /** Whether more is in use than that part of the limit. */
  #isOver(part: number): boolean {
    return this.limit > 0 && this.#total > part * this.limit;
  }

  get #total(): number {
    return this.#shared.cache.value * CACHE_UNIT;
  }
}

function unitsOf(bytes: number): number {
  return Math.ceil(bytes / CACHE_UNIT);
}
