import assert from "node:assert/strict";
import { Semaphore } from "../lib/semaphore.ts";
import { turn } from "./helpers/turns.ts";

Deno.test("Semaphore lets so many tasks run at once, and the others in their order, also after one that fails", async () => {
  const semaphore = new Semaphore(2);
  const tasks = Array.from({ length: 4 }, () => Promise.withResolvers<number>());
  const begun: number[] = [];
  const run = (i: number) => semaphore.run(() => (begun.push(i), tasks[i]!.promise));
  const results = [run(0), run(1), run(2)];
  assert.deepEqual(begun, [0, 1]);
  tasks[1]!.reject(new Error("no"));
  results.push(run(3));
  await assert.rejects(results[1]!, /no/);
  assert.deepEqual(begun, [0, 1, 2]);
  tasks[0]!.resolve(0);
  assert.equal(await results[0], 0);
  await turn();
  assert.deepEqual(begun, [0, 1, 2, 3]);
  for (const i of [2, 3]) {
    tasks[i]!.resolve(i);
    assert.equal(await results[i], i);
  }
  let runs = 0;
  const again = [0, 1, 2].map(() => semaphore.run(() => (runs++, Promise.resolve())));
  assert.equal(runs, 2, "all places are free again, and no more");
  await Promise.all(again);
});
