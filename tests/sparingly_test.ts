import assert from "node:assert/strict";
import { sparingly } from "../lib/sparingly.ts";
import type { Fields } from "../lib/log.ts";

Deno.test("sparingly() tells one in an interval, and with the next how many others there were", () => {
  const told: Fields[] = [];
  let now = 5;
  const tell = sparingly(1000, (fields) => told.push(fields), () => now);
  for (let n = 1; n <= 3; n++) tell({ n });
  now = 1004;
  tell({ n: 4 });
  assert.deepEqual(told, [{ n: 1 }]);
  now = 1005;
  tell({ n: 5 });
  assert.deepEqual(told, [{ n: 1 }, { n: 5, others: 3 }]);
  now = 2005;
  tell({ n: 6 });
  assert.deepEqual(told.at(-1), { n: 6 });
});
