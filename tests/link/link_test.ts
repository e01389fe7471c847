import assert from "node:assert/strict";
import { mock } from "node:test";
import { lookUp } from "../../lib/link/dial.ts";
import { LINGER, lingeringClose, unmapped } from "../../lib/link/link.ts";
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

Deno.test("unmapped() gives the IPv4 address that an IPv6 one stands for, in either form, and no other", () => {
  const cases = [
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::FFFF:192.0.2.7", "192.0.2.7"],
    ["::ffff:c000:207", "192.0.2.7"],
    ["::ffff:FF:1", "0.255.0.1"],
    ["::ffff:0:0", "0.0.0.0"],
    ["192.0.2.7", "192.0.2.7"],
    ["::1", "::1"],
    ["::c000:207", "::c000:207"],
    ["64:ff9b::c000:207", "64:ff9b::c000:207"],
    ["2001:db8::ffff:c000:207", "2001:db8::ffff:c000:207"],
    ["::ffff:1:c000:207", "::ffff:1:c000:207"],
  ] as const;
  for (const [address, expected] of cases) assert.equal(unmapped(address), expected, address);
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
