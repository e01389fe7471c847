import assert from "node:assert/strict";
import type { SocketLink } from "../../../../lib/link/engine/engine.ts";
import { writeAll } from "../../../../lib/link/link.ts";
import { readExactly } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { Stage } from "../../../helpers/engine_pair.ts";
import { pattern } from "../../../helpers/random.ts";
import { RingSpy } from "../../../helpers/ring_spy.ts";

const RING = { ignore: !NATIVE.includes("uring") };
/** There are 1,024 buffers for what goes. */
const MANY = 1100;

async function pairs(stage: Stage, count: number): Promise<[near: SocketLink, far: SocketLink][]> {
  const all: [SocketLink, SocketLink][] = [];
  for (let i = 0; i < count; i++) all.push(await stage.pair());
  return all;
}

/** All send at once, each a stream of its own, in two messages, of which the second waits for the first. */
async function exchange(links: { from: SocketLink; to: SocketLink }[], size: number, first: number): Promise<void> {
  const received = links.map(({ to }) => readExactly(to, 2 * size));
  const sent = links.map(async ({ from }, i) => {
    await writeAll(from, pattern(0, size, first + i));
    await writeAll(from, pattern(size, size, first + i));
  });
  await Promise.all(sent);
  for (const [i, bytes] of (await Promise.all(received)).entries()) {
    assertSameBytes(bytes, pattern(0, 2 * size, first + i), `of link ${i}`);
  }
}

Deno.test("every byte comes, both ways, when more goes at once than there are buffers for", RING, async () => {
  using spy = new RingSpy();
  {
    await using stage = Stage.open("uring");
    const all = await pairs(stage, MANY);
    for (const size of [100, 1024, 3000]) {
      await exchange(all.map(([from, to]) => ({ from, to })), size, 0);
      await exchange(all.map(([to, from]) => ({ from, to })), size, 1);
    }
    assert(spy.noCopies > 0, "the case did not come up");
    assert.equal(spy.copies, 0);
    // Each that was taken is there again.
    spy.noCopies = 0;
    await exchange(all.slice(0, 1000).map(([from, to]) => ({ from, to })), 50, 2);
    assert.equal(spy.noCopies, 0);
  }
  assert.equal(spy.mapped.size, 0);
});

Deno.test("every byte comes, both ways, when the kernel has no buffer for it", RING, async () => {
  // It has 3; no more than some come in a round, whatever there is.
  using spy = new RingSpy({ withheld: 509 });
  await using stage = Stage.open("uring");
  const all = await pairs(stage, 100);
  for (const size of [1, 100, 1023, 1024, 1025, 3000]) {
    await exchange(all.map(([from, to]) => ({ from, to })), size, 0);
    await exchange(all.map(([to, from]) => ({ from, to })), size, 1);
    // Of more it reads by calls.
    assert(spy.refused > 0 || size > 1024, `the case did not come up, of ${size} bytes`);
    spy.refused = 0;
  }
  // Each that it filled it has again.
  for (let round = 0; round < 600; round++) await exchange([{ from: all[0]![0], to: all[0]![1] }], 10, round);
  assert.equal(spy.refused, 0);
});

Deno.test("a connection that waits for bytes holds no buffer", RING, async () => {
  using spy = new RingSpy();
  await using stage = Stage.open("uring");
  const all = await pairs(stage, 600);
  const waiting = all.flat().map((link) => readExactly(link, 1));
  const busy = await pairs(stage, 500);
  await exchange(busy.map(([from, to]) => ({ from, to })), 100, 0);
  assert.equal(spy.refused, 0);
  for (const link of all.flat()) link.close();
  await Promise.all(waiting);
  await exchange(busy.map(([to, from]) => ({ from, to })), 100, 0);
  assert.equal(spy.refused, 0);
});
