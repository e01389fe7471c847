import assert from "node:assert/strict";
import { mock } from "node:test";
import { within } from "../lib/within.ts";

Deno.test("within() gives what comes in time, rejects as it does, and has undefined for what is late", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    assert.equal(await within(10, Promise.resolve(1)), 1);
    assert.equal(await within(10, undefined), undefined);
    await assert.rejects(within(10, Promise.reject(new Error("no"))), /no/);
    const slow = Promise.withResolvers<number>();
    const late = within(10, slow.promise);
    mock.timers.tick(10);
    assert.equal(await late, undefined);
    slow.reject(new Error("of what nobody waits for any more"));
  } finally {
    mock.timers.reset();
  }
});
