import assert from "node:assert/strict";
import { InFlight } from "../../../lib/proxy/session/in_flight.ts";
import { stillTime } from "../../helpers/clock.ts";

/** Rounds of events, and time, come when the test says so. */
function manual() {
  const time = stillTime();
  let next: (() => void)[] = [];
  const inFlight = new InFlight(true, { soon: (callback) => void next.push(callback) });
  return {
    inFlight,
    /** Whether there is anything to do in the next round. */
    isComing: () => next.length > 0,
    round: () => {
      const callbacks = next;
      next = [];
      for (const callback of callbacks) callback();
    },
    ...time,
  };
}

/** One that goes on when the test says so. */
class Held {
  asked = 0;
  mayGoOn = false;

  goOn(): boolean {
    this.asked++;
    return this.mayGoOn;
  }
}

Deno.test("InFlight: one that is held up is asked in each round at first, then each 4 ms, until it goes on", () => {
  using time = manual();
  const { inFlight, round, pass, isComing } = time;
  const held = new Held();
  inFlight.hold(held);
  assert.equal(held.asked, 0);
  round();
  pass(0.25);
  round();
  pass(0.25);
  round();
  assert.deepEqual([held.asked, isComing()], [3, false]);
  pass(3);
  assert.equal(held.asked, 3);
  pass(1);
  pass(4);
  assert.equal(held.asked, 5);
  held.mayGoOn = true;
  pass(4);
  pass(100);
  assert.deepEqual([held.asked, isComing()], [6, false]);
});

Deno.test("InFlight: one that goes on at once is asked no more, and others are", () => {
  using time = manual();
  const { inFlight, round, pass } = time;
  const [fast, slow] = [new Held(), new Held()];
  fast.mayGoOn = true;
  inFlight.hold(fast);
  inFlight.hold(slow);
  for (let i = 0; i < 4; i++) {
    round();
    pass(0.25);
  }
  pass(4);
  assert.deepEqual([fast.asked, slow.asked], [1, 4]);
  inFlight.hold(fast);
  round();
  assert.equal(fast.asked, 2);
});

Deno.test("InFlight: after stop() nothing comes", () => {
  using time = manual();
  const { inFlight, round, pass } = time;
  const held = new Held();
  inFlight.hold(held);
  pass(1);
  round();
  assert.equal(held.asked, 1);
  inFlight.stop();
  pass(100);
  assert.equal(held.asked, 1);
});
