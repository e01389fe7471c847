import assert from "node:assert/strict";
import { mock } from "node:test";
import { Counter } from "../../../lib/tools/demo/counter.ts";
import { settled } from "../../helpers/turns.ts";

Deno.test("numbers() gives every number from the next one on, also to who asks late", async () => {
  mock.timers.enable({ apis: ["setInterval"] });
  try {
    const counter = new Counter(50);
    mock.timers.tick(3 * 50);
    const [early, late] = [counter.numbers(), counter.numbers()];
    const first = early.next();
    const other = late.next();
    mock.timers.tick(50);
    assert.equal((await first).value, 4);
    assert.equal((await other).value, 4);
    mock.timers.tick(10 * 50);
    for (let number = 5; number <= 14; number++) assert.equal((await early.next()).value, number);
    counter.stop();
    mock.timers.tick(50);
    assert.equal(await settled(early.next()), false);
  } finally {
    mock.timers.reset();
  }
});
