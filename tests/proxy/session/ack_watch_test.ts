import assert from "node:assert/strict";
import { AckWatch } from "../../../lib/proxy/session/ack_watch.ts";

const TIMEOUT = 1000;

/** A look: when, what was written by then, what of that is on its way, and for how long an answer is owed. */
type Look = [now: number, written: number, unacknowledged: number, silence: number];

/** What each look finds. */
function looks(watch: AckWatch, timeout: number, table: Look[]): boolean[] {
  return table.map(([now, written, unacknowledged, silence]) =>
    watch.isGone({ unacknowledged: () => unacknowledged, silence: () => silence }, written, timeout, now)
  );
}

const CASES: [name: string, table: Look[], gone: boolean[]][] = [
  ["one that answers nothing for so long is gone", [
    [0, 10, 0, 0],
    [1000, 20, 10, 900],
    [1999, 20, 10, 1899],
    [2000, 20, 10, 1900],
  ], [false, false, false, true]],
  ["one that was idle for long and is sent something has its time from then on", [
    [0, 10, 0, 0],
    [60_000, 20, 10, 60_000],
    [60_500, 20, 10, 60_500],
    [61_000, 20, 10, 61_000],
  ], [false, false, false, true]],
  ["one that answers all the time, and takes nothing, is not gone", [
    [0, 10, 10, 0],
    [60_000, 10, 10, 0],
    [120_000, 10, 10, 0],
  ], [false, false, false]],
  ["one that answered meanwhile has its time anew", [
    [0, 10, 10, 500],
    [900, 10, 10, 0],
    [1000, 10, 10, 100],
    [1900, 20, 10, 1000],
    [2000, 20, 10, 1100],
  ], [false, false, false, false, true]],
  ["one that answered between two looks, and owes again, is not gone", [
    [0, 10, 10, 500],
    [1000, 20, 10, 20],
    [2000, 30, 10, 20],
  ], [false, false, false]],
  ["one with nothing on its way is not gone", [
    [0, 10, 0, 5000],
    [2000, 10, 0, 7000],
    [4000, 20, 0, 9000],
  ], [false, false, false]],
];

for (const [name, table, gone] of CASES) {
  Deno.test(`AckWatch: ${name}`, () => assert.deepEqual(looks(new AckWatch(), TIMEOUT, table), gone));
}

Deno.test("AckWatch: 0 is never", () => {
  assert.deepEqual(looks(new AckWatch(), 0, [[0, 10, 10, 5000], [10_000, 10, 10, 15_000]]), [false, false]);
});

Deno.test("AckWatch: an idle connection is not asked for what is on its way", () => {
  const watch = new AckWatch();
  looks(watch, TIMEOUT, [[0, 10, 0, 0]]);
  const fail = () => assert.fail("it was asked");
  assert.equal(watch.isGone({ unacknowledged: fail, silence: fail }, 10, TIMEOUT, 5000), false);
});

Deno.test("AckWatch: of another connection nothing is known, although not a byte more was written", () => {
  const watch = new AckWatch();
  looks(watch, TIMEOUT, [[0, 10, 0, 0]]);
  watch.restart();
  assert.deepEqual(looks(watch, TIMEOUT, [[1000, 10, 5, 900], [2000, 10, 5, 1900]]), [false, true]);
});
