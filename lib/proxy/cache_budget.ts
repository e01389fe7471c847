/** One whose resend cache counts against the budget. */
export interface CacheHolder {
  /** Gives the memory of its resend cache back; it tells the budget, by `add`. */
  releaseCache(): void;
}

/**
 * The memory of all resend caches together. When it is more than the limit, the caches of those whose clients have been
 * away longest give way: what they held cannot be sent again. The caches of clients that are there are never touched.
 */
export class CacheBudget {
  /** Bytes; 0: no limit. */
  limit: number;
  /** Caches that gave way so far. */
  released = 0;
  #inUse = 0;
  #highWater = 0;
  /** In the order in which they went. */
  readonly #away = new Set<CacheHolder>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes in use. */
  get inUse(): number {
    return this.#inUse;
  }

  /** The most bytes that were ever in use. */
  get highWater(): number {
    return this.#highWater;
  }

  /** Whether there is no room for more. */
  get spent(): boolean {
    return this.limit > 0 && this.#inUse >= this.limit;
  }

  /** Counts that much more in use, or less. */
  add(bytes: number): void {
    this.#inUse += bytes;
    this.#highWater = Math.max(this.#highWater, this.#inUse);
    if (bytes > 0) this.#reclaim();
  }

  /** Says that the client of a holder is away from now on. */
  wentAway(holder: CacheHolder): void {
    this.#away.add(holder);
    this.#reclaim();
  }

  /** Says that the client of a holder is back, or that the holder is gone. */
  cameBack(holder: CacheHolder): void {
    this.#away.delete(holder);
  }

  #reclaim(): void {
    for (const holder of this.#away) {
      if (this.limit === 0 || this.#inUse <= this.limit) return;
      this.#away.delete(holder);
      holder.releaseCache();
      this.released++;
    }
  }
}
