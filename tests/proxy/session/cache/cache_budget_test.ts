import assert from "node:assert/strict";
import { CacheBudget, type CacheHolder, cacheLimitOf } from "../../../../lib/proxy/session/cache/cache_budget.ts";
import { SharedState } from "../../../../lib/proxy/shared_state.ts";

/** What is counted as one. */
const UNIT = 256;

/** One that holds so many bytes. */
class Holder implements CacheHolder {
  released = false;
  readonly #budget: CacheBudget;
  readonly #least: number;
  cacheInUse: number;

  /** `least`: it does not shrink to less than so many. */
  constructor(budget: CacheBudget, bytes: number, least = bytes) {
    this.#budget = budget;
    this.#least = least;
    this.cacheInUse = bytes;
    budget.cameIn(this);
    budget.add(bytes);
  }

  grow(bytes: number): void {
    this.cacheInUse += bytes;
    this.#budget.add(bytes);
  }

  shrinkCache(): void {
    this.grow(-Math.max(0, this.cacheInUse - this.#least));
  }

  releaseCache(): void {
    this.released = true;
    this.grow(-this.cacheInUse);
  }
}

Deno.test("over the limit the caches of those who are away longest give way, and no others", () => {
  const budget = new CacheBudget(100 * UNIT);
  const [there, first, second, third] = [10, 30, 30, 20].map((bytes) => new Holder(budget, bytes * UNIT));
  for (const holder of [first!, second!, third!]) budget.wentAway(holder);
  budget.cameIn(first!);
  budget.wentAway(first!); // now it is the last one that went
  assert.equal(budget.inUse, 90 * UNIT);
  budget.add(20 * UNIT);
  assert.deepEqual([there, first, second, third].map((holder) => holder!.released), [false, false, true, false]);
  assert.equal(budget.inUse, 80 * UNIT);
  budget.add(55 * UNIT);
  assert.deepEqual([there, first, second, third].map((holder) => holder!.released), [false, true, true, true]);
  assert.equal(budget.released, 3);
  assert.equal(budget.highWater, 135 * UNIT);
});

Deno.test("one that goes away while the limit is passed gives way at once; without a limit nothing does", () => {
  const budget = new CacheBudget(10 * UNIT);
  const holder = new Holder(budget, 20 * UNIT);
  assert.equal(budget.spent, true);
  assert.equal(holder.released, false);
  budget.wentAway(holder);
  assert.equal(holder.released, true);
  assert.equal(budget.spent, false);
  const unlimited = new CacheBudget(0);
  const other = new Holder(unlimited, 2 ** 40);
  unlimited.wentAway(other);
  assert.equal(unlimited.spent, false);
  assert.equal(other.released, false);
});

Deno.test("threads have one budget, and each reclaims what its own clients that are away hold", () => {
  const shared = new SharedState();
  const [one, other] = [0, 1].map(() => new CacheBudget(100 * UNIT, new SharedState(shared.buffer)));
  const [mine, theirs] = [new Holder(one!, 60 * UNIT), new Holder(other!, 30 * UNIT)];
  other!.wentAway(theirs);
  one!.add(30 * UNIT);
  assert.deepEqual([one!.spent, other!.spent, theirs.released], [true, true, false]);
  other!.reclaim();
  assert.deepEqual([theirs.released, mine.released, other!.released, one!.released], [true, false, 1, 0]);
  assert.deepEqual(
    [one!.inUse, other!.inUse, one!.highWater, other!.highWater],
    [90, 0, 120, 120].map((n) => n * UNIT),
  );
  assert.equal(other!.spent, false);
});

Deno.test("over the limit caches of clients that are there shrink first, the largest first, and only as far as it takes", () => {
  const budget = new CacheBudget(80 * UNIT);
  const [small, large, middle, away] = [[5, 5], [30, 10], [20, 5], [20, 5]].map(([bytes, least]) =>
    new Holder(budget, bytes! * UNIT, least! * UNIT)
  );
  budget.wentAway(away!);
  const inUse = () => [small, large, middle, away].map((holder) => holder!.cacheInUse / UNIT);
  small!.grow(5 * UNIT);
  assert.deepEqual(inUse(), [10, 30, 20, 20], "80 of 80");
  small!.grow(UNIT);
  assert.deepEqual(inUse(), [11, 10, 20, 20], "61, where 70 are little enough");
  assert.deepEqual([budget.shrunk, budget.released], [1, 0]);
});

Deno.test("caches shrink once from one reclaim() to the next; what is still too much those who are away give", () => {
  const budget = new CacheBudget(80 * UNIT);
  const [here, away] = [new Holder(budget, 50 * UNIT, 30 * UNIT), new Holder(budget, 30 * UNIT)];
  budget.wentAway(away);
  here.grow(10 * UNIT);
  assert.deepEqual([here.cacheInUse, away.released, budget.shrunk], [30 * UNIT, false, 1]);
  here.grow(30 * UNIT);
  assert.deepEqual([here.cacheInUse, away.released, budget.shrunk], [60 * UNIT, true, 1]);
  here.grow(30 * UNIT);
  assert.equal(here.cacheInUse, 90 * UNIT);
  budget.reclaim();
  assert.deepEqual([here.cacheInUse, budget.shrunk, budget.released], [30 * UNIT, 2, 1]);
  here.grow(60 * UNIT);
  budget.left(here);
  budget.reclaim();
  assert.equal(here.cacheInUse, 90 * UNIT, "one that left was asked");
});

Deno.test("cacheLimitOf() is what was written, or a quarter of the memory", () => {
  assert.equal(cacheLimitOf(0), 0);
  assert.equal(cacheLimitOf(12345), 12345);
  assert.equal(cacheLimitOf("auto", () => 1001), 250);
  assert(cacheLimitOf("auto") > 2 ** 20);
});
