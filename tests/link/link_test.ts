import assert from "node:assert/strict";
import { mock } from "node:test";
import { lookUp } from "../../lib/link/dial.ts";
import { LINGER, lingeringClose } from "../../lib/link/link.ts";
import { ManualLink } from "../helpers/manual_link.ts";
import { settled, turn } from "../helpers/turns.ts";

Deno.test("lingeringClose() ends its direction, takes what still comes, and closes when the other end does", async () => {
  const link = new ManualLink();
  const closed = lingeringClose(link);
  await turn();
  assert.equal(link.writeClosed, true);
  link.bring(new Uint8Array(5));
  await turn();
  assert.deepEqual([link.reading, link.closed], [true, false]);
  link.bring(null);
  await closed;
  assert.equal(link.closed, true);
});

Deno.test("lingeringClose() closes when the other end does not within LINGER", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const link = new ManualLink();
    const closed = lingeringClose(link);
    await turn();
    mock.timers.tick(LINGER - 1);
    assert.equal(link.closed, false);
    mock.timers.tick(1);
    assert.equal(link.closed, true);
    link.bring(new Error("interrupted"));
    assert.equal(await settled(closed), true);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("lookUp() rejects when its signal is aborted, before or meanwhile, and when the time is over", async () => {
  const never = () => new Promise<string[]>(() => {});
  const options = { timeout: 1000, lookup: never };
  const abort = new AbortController();
  for (const signal of [AbortSignal.abort(), abort.signal]) {
    const looking = lookUp("game.example", { ...options, signal });
    abort.abort();
    assert.equal(await settled(looking), true, "it goes on");
    await assert.rejects(looking, /given up/);
  }
  await assert.rejects(lookUp("game.example", { ...options, timeout: 1 }), /no answer within 1 ms/);
});
