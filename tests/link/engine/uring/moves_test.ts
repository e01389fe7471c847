import assert from "node:assert/strict";
import type { SocketLink } from "../../../../lib/link/engine/engine.ts";
import type { SocketFlow } from "../../../../lib/link/engine/socket_flow.ts";
import { System } from "../../../../lib/link/engine/system.ts";
import type { FlowingLink } from "../../../../lib/link/flow.ts";
import { writeAll } from "../../../../lib/link/link.ts";
import { readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../../helpers/bytes.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { Stage } from "../../../helpers/engine_pair.ts";
import { pattern } from "../../../helpers/random.ts";
import { turn, until } from "../../../helpers/turns.ts";

const FILL = 64 * 1024;
const flowOf = (link: SocketLink) => (link as unknown as FlowingLink).flow as SocketFlow;

/** Whatever is under way has come. */
async function aWhile(): Promise<void> {
  for (let turns = 0; turns < 200; turns++) await turn();
}

/** Writes down what a flow tells. */
function listen(flow: SocketFlow): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  flow.sink = {
    readable: (bytes) => chunks.push(bytes.slice()),
    writable() {},
    ended() {},
    lost: assert.fail,
  };
  return chunks;
}

function test(what: string, run: (stage: Stage) => Promise<void>): void {
  Deno.test(what, { ignore: !NATIVE.includes("uring") }, async () => {
    await using stage = Stage.open("uring");
    await run(stage);
  });
}

test("what is asked for a descriptor is not done to who has its number after it was given away", async (stage) => {
  const system = System.open();
  const buffer = new Uint8Array(100);
  for (const isAwake of [true, false]) {
    for (const ask of ["a read", "a write"]) {
      const [near, far] = await stage.pair();
      const flow = flowOf(near);
      if (!isAwake) await aWhile();
      if (ask === "a read") flow.resume(100);
      else assert.equal(flow.write(pattern(0, 5)), 5);
      // All of this before the ring has its turn.
      const fd = flow.detach()!;
      system.close(fd);
      const [one, other] = system.socketPair();
      assert.equal(one, fd, "the case did not come up");
      assert.equal(system.send(other, pattern(0, 10)), 10);
      await aWhile();
      assert.equal(system.receive(one, buffer, 100), 10, `${ask} took what is another's`);
      assert(system.receive(other, buffer, 100) < 0, `${ask} went to another`);
      if (ask === "a write") assertSameBytes(await readExactly(far, 5), pattern(0, 5));
      for (const end of [one, other]) system.close(end);
    }
  }
});

test("a flow tells no more at once than was asked for last, also of what is under way", async (stage) => {
  const [near, far] = await stage.pair();
  const flow = flowOf(near);
  const chunks = listen(flow);
  for (const how of ["paused", "not paused"]) {
    flow.resume(FILL);
    await aWhile();
    if (how === "paused") flow.pause();
    flow.resume(3);
    await writeAll(far, pattern(0, 1000));
    await until(() => concat(chunks).length === 1000, () => `${concat(chunks).length} bytes came`);
    assert(chunks.every(({ length }) => length <= 3), `it told of ${chunks.map(({ length }) => length)}`);
    assertSameBytes(concat(chunks), pattern(0, 1000));
    chunks.length = 0;
  }
});

test("what came over a descriptor while a flow was paused is not told of the next one", async (stage) => {
  const [near, far] = await stage.pair();
  const [other, otherFar] = await stage.pair();
  const flow = flowOf(near);
  const chunks = listen(flow);
  flow.resume(FILL);
  await aWhile();
  flow.pause();
  await writeAll(far, pattern(0, 10, 1));
  await aWhile();
  flow.attach(flowOf(other).detach()!);
  await writeAll(otherFar, pattern(0, 10, 2));
  flow.resume(FILL);
  await until(() => concat(chunks).length >= 10, () => "nothing came");
  assertSameBytes(concat(chunks), pattern(0, 10, 2));
});

test("bytes that come while it is closed are told to nobody, and the next has its own", async (stage) => {
  for (let round = 0; round < 200; round++) {
    const [near, far] = await stage.pair();
    const flow = flowOf(near);
    let isClosed = false;
    flow.sink = { readable: () => assert(!isClosed), writable() {}, ended() {}, lost: () => assert(!isClosed) };
    flow.resume(FILL);
    for (let turns = 0; turns < round % 4; turns++) await turn();
    flowOf(far).write(pattern(0, 1 + round % 1500)); // it is handed over in one call with what the close asks for
    if (round % 3 === 0) await turn();
    if (round % 2 === 0) flow.close();
    else flow.reset();
    isClosed = true;
    far.close();
  }
});

test("the place of a flow that is closed in the middle of what it is told is given on once", async (stage) => {
  for (const how of ["readable", "ended", "writable"] as const) {
    const [near, far] = await stage.pair();
    const flow = flowOf(near);
    const closed = Promise.withResolvers<void>();
    const close = () => {
      flow.close();
      closed.resolve();
    };
    flow.sink = { readable() {}, writable() {}, ended() {}, lost: assert.fail, [how]: close };
    if (how !== "writable") flow.resume(FILL);
    if (how === "readable") await writeAll(far, pattern(0, 10));
    else if (how === "ended") await far.closeWrite();
    else while (flow.write(new Uint8Array(FILL)) > 0); // until it waits for room
    const rest = how === "writable" ? readToEnd(far) : undefined;
    await closed.promise;
    await rest;
    await aWhile();
    // Whoever has it, and whoever comes next.
    const others = await Promise.all([stage.pair(), stage.pair(), stage.pair()]);
    const sent = others.map(([from], i) => writeAll(from, pattern(0, 100, i)));
    for (const [i, [, to]] of others.entries()) assertSameBytes(await readExactly(to, 100), pattern(0, 100, i));
    await Promise.all(sent);
    for (const [i, [from, to]] of others.entries()) {
      await writeAll(to, pattern(0, 100, i));
      assertSameBytes(await readExactly(from, 100), pattern(0, 100, i));
    }
  }
});
