import assert from "node:assert/strict";
import { ClosedNumbers, HeardBatches } from "../../../../../lib/proxy/cluster/nodes/watching/closed_numbers.ts";
import { Random } from "../../../../helpers/random.ts";

const name = (number: number, thread = 0, instance = "edge") => ({ instance, thread, number });

Deno.test("closed numbers go to the instance that carries them, by thread", () => {
  const numbers = new ClosedNumbers();
  for (const each of [name(7), name(8, 3), name(9), name(1, 0, "other")]) numbers.add(each, 0);
  assert.deepEqual(numbers.tell("edge", 0, 0).closed, { 0: [7, 9], 3: [8] });
  assert.deepEqual(numbers.tell("other", 0, 0).closed, { 0: [1] });
});

Deno.test("closed numbers of a lost answer are told again, those of one that came are not", () => {
  const numbers = new ClosedNumbers();
  numbers.add(name(7), 0);
  const lost = numbers.tell("edge", 0, 0);
  numbers.add(name(8), 0);
  const came = numbers.tell("edge", 0, 0);
  assert.deepEqual([lost.closed, came.closed], [{ 0: [7] }, { 0: [7, 8] }]);
  const after = numbers.tell("edge", came.batch, 0);
  assert.deepEqual(after.closed, {});
  numbers.add(name(9), 0);
  assert.deepEqual(numbers.tell("edge", after.batch, 0).closed, { 0: [9] });
});

Deno.test("closed numbers for an instance that asks no more are forgotten, and for one that asks are bounded", () => {
  const numbers = new ClosedNumbers();
  numbers.add(name(1), 1000);
  numbers.add(name(2, 0, "other"), 1000);
  numbers.tell("other", 0, 2000);
  numbers.sweep(1500);
  assert.deepEqual(numbers.tell("edge", 0, 2000).closed, {});
  assert.deepEqual(numbers.tell("other", 0, 2000).closed, { 0: [2] });
  for (let number = 1; number <= 70_000; number++) numbers.add(name(number), 2000);
  const told = numbers.tell("edge", 0, 2000).closed[0]!;
  assert.deepEqual([told.length, told.at(-1)], [65_536, 70_000]);
});

Deno.test("closed numbers come once each, whatever answers are lost", () => {
  const random = new Random();
  const numbers = new ClosedNumbers();
  const heard = new HeardBatches();
  const came: number[] = [];
  let number = 0;
  for (let round = 0; round < 2000; round++) {
    for (let i = random.int(0, 3); i > 0; i--) numbers.add(name(++number), 0);
    const { batch, closed } = numbers.tell("edge", heard.lastOf("edge"), 0);
    if (random.int(0, 2) === 0 && round < 1999) continue;
    heard.heard("edge", batch);
    came.push(...closed[0] ?? []);
  }
  assert.deepEqual(came, Array.from({ length: number }, (_, i) => i + 1), `GOSCON_SEED=${random.seed}`);
});
