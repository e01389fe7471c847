import assert from "node:assert/strict";
import { Passed } from "../../../lib/admin/upgrade/passed.ts";

Deno.test("the sessions that have gone over are counted, and for how long half of them, nearly all and all stood still", () => {
  const passed = new Passed();
  assert.deepEqual([passed.sessions, passed.standStill], [0, { p50: 0, p99: 0, longest: 0 }]);
  passed.add(0, 1000); // nobody
  passed.add(50, 3);
  passed.add(1, 9);
  passed.add(49, 5);
  assert.deepEqual([passed.sessions, passed.standStill], [100, { p50: 3, p99: 5, longest: 9 }]);
  // Two of them did once more.
  passed.stoodStill(2, 20);
  assert.deepEqual([passed.sessions, passed.standStill], [100, { p50: 5, p99: 20, longest: 20 }]);
});
