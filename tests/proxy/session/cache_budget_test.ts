import assert from "node:assert/strict";
import { CacheBudget, type CacheHolder } from "../../../lib/proxy/session/cache_budget.ts";
import { SharedState } from "../../../lib/proxy/shared_state.ts";

/** What is counted as one. */
const UNIT = 256;

/** One that holds so many bytes. */
class Holder implements CacheHolder {
  released = false;
  readonly #budget: CacheBudget;
  readonly #bytes: number;

  constructor(budget: CacheBudget, bytes: number) {
    this.#budget = budget;
    this.#bytes = bytes;
    budget.add(bytes);
  }

  releaseCache(): void {
    this.released = true;
    this.#budget.add(-this.#bytes);
  }
}

Deno.test("over the limit the caches of those who are away longest give way, and no others", () => {
  const budget = new CacheBudget(100 * UNIT);
  const [there, first, second, third] = [10, 30, 30, 20].map((bytes) => new Holder(budget, bytes * UNIT));
  for (const holder of [first!, second!, third!]) budget.wentAway(holder);
  budget.cameBack(first!);
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
