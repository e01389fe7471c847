import assert from "node:assert/strict";
import { Passed } from "../../../lib/admin/upgrade/passed.ts";

Deno.test("it is told for how long half of the sessions, nearly all and all stood still", () => {
  const passed = new Passed();
  assert.deepEqual(passed.standStill, { p50: 0, p99: 0, longest: 0 });
  passed.stoodStill(0, 1000); // nobody
  passed.stoodStill(50, 3);
  passed.stoodStill(1, 9);
  passed.stoodStill(49, 5);
  assert.deepEqual(passed.standStill, { p50: 3, p99: 5, longest: 9 });
  passed.stoodStill(2, 20);
  assert.deepEqual(passed.standStill, { p50: 5, p99: 20, longest: 20 });
});
