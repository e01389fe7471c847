import assert from "node:assert/strict";
import { layoutAlone } from "../../../lib/proxy/owner.ts";
import { SessionIds } from "../../../lib/proxy/session/session_ids.ts";

const FIRST = { thread: 0, slot: 0, epoch: 0 };
const ALONE = layoutAlone(1);

Deno.test("next() gives ids of [1, 2^32), none twice, also when the counter turns over", () => {
  const ids = new SessionIds(0x1234567890abcdefn, FIRST, ALONE, { start: 2 ** 32 - 20_000 });
  const seen = new Set<number>();
  for (let i = 0; i < 40_000; i++) {
    const id = ids.next();
    assert(Number.isInteger(id) && id > 0 && id < 2 ** 32, String(id));
    seen.add(id);
  }
  assert.equal(seen.size, 40_000);
});

Deno.test("next() is not to be told from the id before, nor from another key's", () => {
  const [ids, others] = [1n, 2n].map((key) => new SessionIds(key, FIRST, ALONE)) as [SessionIds, SessionIds];
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

Deno.test("the ids of owners have all numbers between them, each once, with an odd number of bits for the counter, too", () => {
  // With 14 bits for the owner, the most there may be, and 15, 18 and 17 bits for the counter.
  for (const bits of [14, 17, 15]) {
    const layout = { threadBits: 4, slotBits: bits - 6, epochBits: 2 };
    const owner = { thread: 9, slot: 2 ** (bits - 6) - 1, epoch: 6 };
    const ids = new SessionIds(7n, owner, layout);
    const seen = new Set<number>();
    for (let i = 0; i < ids.count; i++) {
      const id = ids.next();
      assert(Number.isInteger(id) && id > 0 && id < 2 ** 32, String(id));
      // From the lowest bits up: the thread, the slot, two bits of the epoch.
      assert.equal(id % 2 ** bits, 9 + 16 * owner.slot + 2 ** (bits - 2) * 2);
      seen.add(id);
    }
    assert.equal(seen.size, 2 ** (32 - bits));
    assert(seen.has(ids.next()), "it begins anew");
  }
});
