import assert from "node:assert/strict";
import { ownerBits, ownerOf, SessionIds } from "../../../lib/proxy/session/session_ids.ts";

Deno.test("next() gives ids of [1, 2^32), none twice, also when the counter turns over", () => {
  const ids = new SessionIds(0x1234567890abcdefn, { start: 2 ** 32 - 20_000 });
  const seen = new Set<number>();
  for (let i = 0; i < 40_000; i++) {
    const id = ids.next();
    assert(Number.isInteger(id) && id > 0 && id < 2 ** 32, String(id));
    seen.add(id);
  }
  assert.equal(seen.size, 40_000);
});

Deno.test("next() is not to be told from the id before, nor from another key's", () => {
  const [ids, others] = [new SessionIds(1n), new SessionIds(2n)];
  let [previous, close, same, bits] = [ids.next(), 0, 0, 0];
  for (let i = 0; i < 4096; i++) {
    const id = ids.next();
    if (Math.abs(id - previous) < 2 ** 16) close++;
    if (id === others.next()) same++;
    for (let changed = id ^ previous; changed; changed &= changed - 1) bits++;
    previous = id;
  }
  assert(close < 10, `${close} of 4096 ids are next to the one before`);
  assert(same < 3, `${same} ids are another key's too`);
  assert(Math.abs(bits / 4096 - 16) < 0.5, `${bits / 4096} of 32 bits change from one id to the next`);
});

Deno.test("owners have ids of their own, which tell whose they are", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 16, 17, 64].map(ownerBits), [0, 2, 2, 2, 4, 4, 6, 6]);
  const seen = new Set<number>();
  for (const owner of [0, 1, 2]) {
    const ids = new SessionIds(7n, { owner, bits: 2, start: 2 ** 30 - 5000 });
    for (let i = 0; i < 10_000; i++) {
      const id = ids.next();
      assert(Number.isInteger(id) && id > 0 && id < 2 ** 32, String(id));
      assert.equal(ownerOf(id, 2), owner);
      seen.add(id);
    }
  }
  assert.equal(seen.size, 30_000);
});
