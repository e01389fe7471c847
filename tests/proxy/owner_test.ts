import assert from "node:assert/strict";
import { layoutAlone, layoutFor, layoutOf, ownerBits, ownerOf } from "../../lib/proxy/owner.ts";

Deno.test("layoutAlone() has an even number of bits for the thread, and none for more", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 16, 17, 64].map((n) => ownerBits(layoutAlone(n))), [0, 2, 2, 2, 4, 4, 6, 6]);
  assert.deepEqual(ownerOf(0xfffffffd, layoutAlone(3)), { thread: 1, slot: 0, epoch: 0 });
});

Deno.test("an id of more threads than there are is one's that there is", () => {
  assert.deepEqual([4, 5, 6, 7].map((id) => ownerOf(id, layoutAlone(3)).thread), [0, 1, 2, 0]);
  assert.deepEqual([4, 5, 6, 7].map((id) => ownerOf(id, layoutAlone(1)).thread), [0, 0, 0, 0]);
});

Deno.test("ownerOf() reads the thread, the slot and the epoch, from the lowest bits up", () => {
  assert.deepEqual(ownerOf(0b1010_01_100101_0111, layoutOf({ slots: 64, threads: 16 })), {
    thread: 0b0111,
    slot: 0b100101,
    epoch: 0b01,
  });
  assert.deepEqual(ownerOf(0xffffffff, layoutOf({ slots: 1024, threads: 4 })), { thread: 3, slot: 1023, epoch: 3 });
  assert.deepEqual(ownerOf(0b10_1, layoutOf({ slots: 2, threads: 1 })), { thread: 0, slot: 1, epoch: 2 });
});

Deno.test("in a cluster too an id of more threads than there are is one's that there is, of the same slot and epoch", () => {
  const cluster = { slots: 64, threads: 16 };
  const id = 0b1010_01_100101_0111;
  assert.deepEqual(ownerOf(id, layoutFor(cluster, 3)), { ...ownerOf(id, layoutOf(cluster)), thread: 7 % 3 });
  assert.deepEqual(layoutFor(undefined, 3), layoutAlone(3));
});
