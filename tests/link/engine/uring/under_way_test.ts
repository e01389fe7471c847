import assert from "node:assert/strict";
import { mock } from "node:test";
import type { SocketFlow } from "../../../../lib/link/engine/socket_flow.ts";
import { System } from "../../../../lib/link/engine/system.ts";
import type { FlowingLink } from "../../../../lib/link/flow.ts";
import { LINGER } from "../../../../lib/link/link.ts";
import { descriptorsOf, untilDescriptors } from "../../../helpers/accepted.ts";
import { assertSameBytes, concat } from "../../../helpers/bytes.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { Stage } from "../../../helpers/engine_pair.ts";
import { pattern } from "../../../helpers/random.ts";
import { RawSocket } from "../../../helpers/raw_socket.ts";
import { RingSpy } from "../../../helpers/ring_spy.ts";
import { turn, until } from "../../../helpers/turns.ts";

const RING = { ignore: !NATIVE.includes("uring") };
const [SOL_SOCKET, SO_SNDBUF] = [1, 7];
/** What is sent from a copy; the system takes a part of it, with most of these, when it is nearly full. */
const SIZES = [1024, 1000, 777];

/** A connection whose other end reads nothing yet, and what is on its way there. */
interface Stuck {
  flow: SocketFlow;
  raw: RawSocket;
  /** How many bytes were taken. */
  taken: number;
  spy: RingSpy;
}

/** Writes until the last piece waits in the ring for the system to take it. */
async function fill(flow: SocketFlow, size: number): Promise<number> {
  let [taken, still] = [0, 0];
  while (still < 50) {
    const n = flow.write(pattern(taken, size));
    taken += n;
    still = n === 0 ? still + 1 : 0;
    if (n < size) await turn();
  }
  return taken;
}

function test(what: string, run: (stuck: Stuck) => Promise<void>): void {
  for (const size of SIZES) {
    Deno.test(`${what}, in pieces of ${size} bytes`, RING, async () => {
      using spy = new RingSpy();
      await using stage = Stage.open("uring");
      const accepting = stage.accept();
      using raw = RawSocket.connect(stage.address, { receiveBuffer: 4096 });
      const flow = (await accepting as unknown as FlowingLink).flow as SocketFlow;
      System.open().setOption(flow.socket!.descriptor, SOL_SOCKET, SO_SNDBUF, 16 * 1024); // so that it is full soon
      const taken = await fill(flow, size);
      assert.equal(spy.copies, 1, "nothing waits in the ring");
      await run({ flow, raw, taken, spy });
      await until(() => spy.copies === 0, () => "the kernel has a copy for ever");
    });
  }
}

/** All of it, and then the end. */
async function assertArrives({ raw, taken }: Stuck): Promise<void> {
  assertSameBytes(await raw.receive(taken + 1), pattern(0, taken));
}

test("what waits in the ring arrives before the end of its direction", async (stuck) => {
  stuck.flow.closeWrite();
  await assertArrives(stuck);
  stuck.raw.shutdownWrite();
});

test("what waits in the ring arrives after a close, and then the descriptor is closed", async (stuck) => {
  const before = descriptorsOf();
  stuck.flow.close();
  for (let turns = 0; turns < 100; turns++) await turn();
  assert.equal(descriptorsOf(), before, "it is closed before that");
  await assertArrives(stuck);
  await untilDescriptors(before - 1);
});

test("what waits in the ring goes along when the connection is given away, and the end after it", async (stuck) => {
  const { flow, raw, taken, spy } = stuck;
  flow.closeWrite();
  const { fd, remains: { unsent, isEnding } } = (await flow.giveAway())!;
  assert.deepEqual([spy.copies, isEnding], [0, true]);
  const system = System.open();
  assert(unsent.length > 0);
  const received = await raw.receive(taken - unsent.length);
  assert.equal(system.send(fd, unsent), unsent.length);
  system.shutdownWrite(fd);
  assertSameBytes(concat([received, await raw.receive(unsent.length + 1)]), pattern(0, taken));
  system.close(fd);
});

test("what waits in the ring is given up with a reset, at once", async (stuck) => {
  const before = descriptorsOf();
  stuck.flow.reset();
  await untilDescriptors(before - 1);
  await assert.rejects(stuck.raw.receive(stuck.taken + 1), { code: "ECONNRESET" });
});

test("what waits in the ring is forgotten when the other end is gone", async (stuck) => {
  const before = descriptorsOf();
  stuck.flow.close();
  stuck.raw.reset();
  await untilDescriptors(before - 2);
});

test("a writer whose bytes wait in the ring hears of a reset", async ({ flow, raw }) => {
  let told = 0;
  flow.sink = { ...flow.sink, writable: () => told++ };
  raw.reset();
  await until(() => told > 0, () => "nobody tells");
  assert.throws(() => flow.write(new Uint8Array(0)), { code: /ECONNRESET|EPIPE/ });
});

test("what waits in the ring counts as not acknowledged", async ({ flow, raw, taken }) => {
  const ofSystem = System.open().unacknowledged(flow.socket!.descriptor);
  const all = flow.unacknowledged();
  assert(all > ofSystem && all <= taken, `${all} of ${taken}, of which the system has ${ofSystem}`);
  await raw.receive(taken);
  await until(() => flow.unacknowledged() === 0, () => `${flow.unacknowledged()} are not acknowledged`);
});

test("a connection is closed, although its bytes wait in the ring, when the other end takes none for long", async (stuck) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const before = descriptorsOf();
    stuck.flow.close();
    mock.timers.tick(LINGER - 1);
    for (let turns = 0; turns < 100; turns++) await turn();
    assert.equal(descriptorsOf(), before);
    mock.timers.tick(1);
    await untilDescriptors(before - 1);
  } finally {
    mock.timers.reset();
  }
});

test("nothing that waits in the ring goes over what a link goes on over", async ({ flow, taken, raw }) => {
  const bells = [System.open().createBell()];
  const before = descriptorsOf();
  assert.throws(() => flow.attach(bells[0]!)); // which closes both
  const received = await raw.receive(taken + 1);
  assertSameBytes(received, pattern(0, taken));
  await untilDescriptors(before - 2);
});
