import assert from "node:assert/strict";
import { Throttle } from "../../../lib/tools/demo/throttle.ts";
import { ManualClock } from "../../helpers/manual_clock.ts";
import { settled } from "../../helpers/turns.ts";

/** A throttle in a time of its own. */
function byHand(rate: number) {
  const clock = new ManualClock();
  const throttle = new Throttle(clock);
  throttle.rate = rate;
  return { clock, throttle };
}

Deno.test("at first all passes at once", async () => {
  const throttle = new Throttle(new ManualClock());
  assert.equal(throttle.rate, Infinity);
  assert.equal(await throttle.pass(2 ** 30), 2 ** 30);
});

Deno.test("a tenth of a second's worth passes at once, the rest at the rate", async () => {
  const { clock, throttle } = byHand(1000);
  assert.equal(await throttle.pass(5000), 100);
  const next = throttle.pass(5000);
  await clock.pass(99);
  assert.equal(await settled(next), false);
  await clock.pass(1);
  assert.equal(await next, 100);
  assert.equal(throttle.passed, 200);
  assert.equal(clock.pending, 0);
});

Deno.test("all that pass at the same time share the rate", async () => {
  const { clock, throttle } = byHand(1000);
  const flow = async () => {
    for (let left = 1000; left > 0;) left -= await throttle.pass(left);
  };
  const both = Promise.all([flow(), flow()]);
  await clock.pass(1899);
  assert.equal(await settled(both), false);
  await clock.pass(1);
  await both;
  assert.equal(throttle.passed, 2000);
});

Deno.test("at a rate of 0 nothing passes, however long", async () => {
  const { clock, throttle } = byHand(0);
  const [pass, opened] = [throttle.pass(1), throttle.opened()];
  await clock.pass(2 ** 30);
  assert.deepEqual([await settled(pass), await settled(opened)], [false, false]);
  throttle.rate = Infinity;
  assert.equal(await pass, 1);
  await opened;
});

Deno.test("a change of the rate is felt by what waits", async () => {
  const { clock, throttle } = byHand(10);
  assert.equal(await throttle.pass(1), 1);
  const waiting = throttle.pass(1000);
  assert.equal(await settled(waiting), false);
  throttle.rate = 0;
  await clock.pass(2 ** 30);
  assert.equal(await settled(waiting), false);
  throttle.rate = 2000;
  assert.equal(await waiting, 200);
  const more = throttle.pass(1000);
  assert.equal(await settled(more), false);
  throttle.rate = Infinity;
  assert.equal(await more, 1000);
  assert.equal(clock.pending, 0, "a timer was left");
  assert.equal(throttle.passed, 1201);
});
