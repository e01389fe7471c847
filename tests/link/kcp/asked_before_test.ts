import assert from "node:assert/strict";
import { Random } from "../../../lib/random.ts";
import { AskedBefore } from "../../../lib/link/kcp/asked_before.ts";

Deno.test("AskedBefore knows who has asked for which conversation, until others have taken the place of that", () => {
  const asked = new AskedBefore();
  assert.deepEqual([asked.note("a", 1), asked.note("a", 1), asked.note("a", 1)], [false, true, true]);
  assert.deepEqual([asked.note("b", 1), asked.note("b", 1)], [false, true]);
  // Of one client it knows the last.
  assert.deepEqual([asked.note("a", 2), asked.note("a", -2), asked.note("a", 2), asked.note("a", 2)], [
    ...[false, false, false],
    true,
  ]);
  for (let i = 0; i < 1_000_000; i++) asked.note(`other ${i}`, i);
  assert.equal(asked.note("b", 1), false);
});

Deno.test("AskedBefore knows most of those who ask again after 10,000 others, and none who does not", () => {
  const random = new Random(20261130);
  const clients = Array.from({ length: 100_000 }, (_, i) => {
    const address = String.fromCharCode(random.int(0, 0xffff), random.int(0, 0xffff));
    return { key: `${address} ${i}`, conv: random.int(0, 2 ** 32 - 1) };
  });
  const asked = new AskedBefore();
  let known = 0;
  for (const [i, { key, conv }] of clients.entries()) {
    assert.equal(asked.note(key, conv), false);
    const before = clients[i - 5000];
    if (before && asked.note(before.key, before.conv)) known++;
  }
  // By chance 81,600 of 95,000.
  assert(known > 76_000, `${known} are known`);
});
