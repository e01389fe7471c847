import assert from "node:assert/strict";
import type { EngineName } from "../../../lib/config/engines.ts";
import type { SocketLink } from "../../../lib/link/engine/engine.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { NATIVE } from "../../helpers/engine.ts";
import { Stage } from "../../helpers/engine_pair.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { pattern } from "../../helpers/random.ts";
import { RawSocket } from "../../helpers/raw_socket.ts";
import { SleepSpy } from "../../helpers/sleep_spy.ts";
import { turn, until } from "../../helpers/turns.ts";

interface Idle {
  stage: Stage;
  spy: SleepSpy;
  /** A connection whose near end waits for bytes, and what they will be. */
  link: SocketLink;
  raw: RawSocket;
  received: Promise<Uint8Array>;
  /** What rings in the thread. */
  bell: number;
}

/** With a thread that sleeps, by each engine. */
function test(what: string, run: (idle: Idle) => Promise<void>): void {
  for (const name of NATIVE) Deno.test(`${name}: an idle thread ${what}`, () => idle(name, run));
}

async function idle(name: EngineName, run: (idle: Idle) => Promise<void>): Promise<void> {
  using spy = new SleepSpy();
  const before = ownDescriptors();
  await using stage = Stage.open(name);
  const [bell] = [...ownDescriptors()].find(([fd, what]) => /eventfd/.test(what) && before.get(fd) !== what)!;
  const accepting = stage.accept();
  using raw = RawSocket.connect(stage.address);
  const link = await accepting;
  const received = readExactly(link, 10);
  await spy.untilAsleep();
  await run({ stage, spy, link, raw, received, bell });
  raw.reset();
  await received.catch(() => {});
}

/** It sleeps, and goes on to. */
async function assertSleeps(spy: SleepSpy): Promise<void> {
  await spy.untilAsleep();
  const before = spy.calls;
  for (let turns = 0; turns < 20_000; turns++) await turn();
  assert.deepEqual([spy.calls, spy.asleep], [before, 1]);
}

test("does nothing at all", ({ spy }) => assertSleeps(spy));

test("is woken by bytes", async ({ spy, raw, received }) => {
  raw.send(pattern(0, 10));
  assertSameBytes(await received, pattern(0, 10));
  await assertSleeps(spy);
});

test("is woken by an end", async ({ raw, received }) => {
  raw.shutdownWrite();
  assert.equal((await received).length, 0);
});

test("sends what is written, short or long, and sleeps again", async ({ spy, link, raw }) => {
  for (const size of [10, 3000]) {
    await spy.untilAsleep();
    await writeAll(link, pattern(0, size));
    assertSameBytes(await raw.receive(size), pattern(0, size));
  }
  await spy.untilAsleep();
});

test("sends what a timer writes", async ({ link, raw }) => {
  setTimeout(() => void writeAll(link, pattern(0, 10)), 0);
  assertSameBytes(await raw.receive(10), pattern(0, 10));
});

test("is woken by whoever rings its bell", async ({ spy, bell }) => {
  for (let times = 0; times < 3; times++) {
    await spy.untilAsleep();
    const before = spy.calls;
    System.open().ring(bell);
    await until(() => spy.calls > before, () => "it sleeps on");
  }
  await assertSleeps(spy);
});

test("is woken by who connects, and by what it connects to", async ({ spy, stage }) => {
  const accepting = stage.accept();
  await spy.untilAsleep();
  using raw = RawSocket.connect(stage.address);
  await accepting;
  await spy.untilAsleep();
  const [near, far] = await stage.pair();
  await spy.untilAsleep();
  await writeAll(near, pattern(0, 10));
  assertSameBytes(await readExactly(far, 10), pattern(0, 10));
  raw.reset();
});

test("closes what it is told to", async ({ link, raw }) => {
  link.close();
  assert.equal((await raw.receive(1)).length, 0);
});
