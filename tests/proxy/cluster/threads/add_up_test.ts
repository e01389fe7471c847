import assert from "node:assert/strict";
import { addUp } from "../../../../lib/proxy/cluster/threads/add_up.ts";

Deno.test("addUp() adds numbers up, in maps and lists, and keeps the bounds of histograms", () => {
  const a = { n: 1, codes: { 200: 5, 404: 1 }, histogram: { bounds: [1, 2], counts: [1, 0, 2], sum: 9 }, on: true };
  const b = { n: 2, codes: { 200: 1, 406: 7 }, histogram: { bounds: [1, 2], counts: [0, 4, 1], sum: 1.5 }, on: true };
  assert.deepEqual(addUp<unknown>(a, b), {
    n: 3,
    codes: { 200: 6, 404: 1, 406: 7 },
    histogram: { bounds: [1, 2], counts: [1, 4, 3], sum: 10.5 },
    on: true,
  });
});
