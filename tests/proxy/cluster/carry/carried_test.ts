import assert from "node:assert/strict";
import { mock } from "node:test";
import { LINGER } from "../../../../lib/link/link.ts";
import { Carried, type CarriedOptions, LITTLE } from "../../../../lib/proxy/cluster/carry/carried.ts";
import type { HeldUp } from "../../../../lib/proxy/session/in_flight.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { ManualFlow } from "../../../helpers/manual_flow.ts";
import { pattern } from "../../../helpers/random.ts";
import { settled, turn } from "../../../helpers/turns.ts";

/** A flow whose system has not acknowledged so many bytes, and has been silent for so long. */
class SlowFlow extends ManualFlow {
  underWay = 0;
  silent = 0;

  override unacknowledged(): number {
    return this.underWay;
  }

  override silence(): number {
    return this.silent;
  }
}

/** One that is carried, whose ends are the test's. */
class Stage {
  readonly client: SlowFlow;
  readonly owner: ManualFlow;
  readonly carried: Carried;
  readonly heldUp: HeldUp[] = [];
  readonly done: Promise<void>;

  constructor(
    { rest = new Uint8Array(0), clientRoom, ownerRoom, ...options }: Partial<CarriedOptions> & {
      clientRoom?: number;
      ownerRoom?: number;
    } = {},
  ) {
    this.client = new SlowFlow(clientRoom === undefined ? {} : { room: clientRoom });
    this.owner = new ManualFlow(ownerRoom === undefined ? {} : { room: ownerRoom });
    const holdUp = (carried: HeldUp) => void this.heldUp.push(carried);
    this.carried = new Carried(this.client, this.owner, { rest, hold: LITTLE, holdUp, ...options });
    this.done = this.carried.run();
  }

  get isClosed(): boolean {
    return this.client.isClosed && this.owner.isClosed;
  }
}

Deno.test("what either end sends goes to the other, in order, as there is room; till then nothing more is read", () => {
  const { client, owner } = new Stage({ clientRoom: 100, ownerRoom: 7 });
  owner.bring(pattern(1, 300));
  assert(owner.isPaused);
  client.bring(pattern(2, 20));
  assert(client.isPaused);
  client.take(150);
  assert(owner.isPaused, "not all of it was taken");
  client.take(1000);
  owner.take(1000);
  assert(!owner.isPaused && !client.isPaused);
  owner.bring(pattern(3, 200));
  assertSameBytes(client.written.subarray(0, 300), pattern(1, 300));
  assertSameBytes(client.written.subarray(300), pattern(3, 200));
  assertSameBytes(owner.written, pattern(2, 20));
});

Deno.test("what the client sends goes on while too much is on its way to it", () => {
  const { client, owner, heldUp } = new Stage({ bound: 10, ownerRoom: 5 });
  client.bring(pattern(1, 20));
  assert(client.isPaused);
  client.underWay = 11;
  owner.bring(pattern(2, 20));
  assert.equal(heldUp.length, 1);
  owner.take(1000);
  assert(owner.isPaused && !client.isPaused);
  client.bring(pattern(3, 20));
  assertSameBytes(owner.written.subarray(20), pattern(3, 20));
});

Deno.test("what came with the word of the owner goes first", async () => {
  const { client, owner } = new Stage({ rest: pattern(1, 50) });
  assert(owner.isPaused);
  await turn();
  owner.bring(pattern(2, 50));
  assertSameBytes(client.written.subarray(0, 50), pattern(1, 50));
  assertSameBytes(client.written.subarray(50), pattern(2, 50));
});

Deno.test("the end of the client goes to the owner, after what came before it", async () => {
  const { client, owner, done, carried } = new Stage({ ownerRoom: 10 });
  client.bring(pattern(1, 20));
  assert(client.isPaused);
  assert(!owner.isWriteClosed);
  owner.take();
  client.end();
  assert(owner.isWriteClosed);
  // The owner may send on.
  owner.bring(pattern(2, 10));
  assertSameBytes(client.written, pattern(2, 10));
  assert(!await settled(done));
  carried.close();
  await done;
});

Deno.test("the end of the owner closes it, and leaves the client some time, in which what it sends is forgotten", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { client, owner, done, carried } = new Stage({ clientRoom: 10 });
    owner.bring(pattern(1, 20));
    client.take();
    owner.end();
    assert(owner.isClosed && client.isWriteClosed && !client.isClosed);
    assertSameBytes(client.written, pattern(1, 20));
    client.bring(pattern(2, 10));
    assert.equal(owner.written.length, 0);
    mock.timers.tick(LINGER - 1);
    assert(!client.isClosed);
    mock.timers.tick(1);
    assert(client.isClosed);
    await done;
    carried.ownerClosed();
  } finally {
    mock.timers.reset();
  }
});

Deno.test("a client that has ended too is closed when its system has all, and not before", async () => {
  const { client, owner, done } = new Stage();
  client.isDrained = false;
  client.end();
  owner.end();
  assert(!client.isClosed);
  client.isDrained = true;
  client.sink.writable();
  assert(client.isClosed);
  await done;
});

Deno.test("an owner that is said to be closed leaves a client that takes nothing some time, and no more", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const stage = new Stage({ clientRoom: 0 });
    stage.owner.bring(pattern(1, 10));
    stage.carried.ownerClosed();
    mock.timers.tick(LINGER);
    assert(stage.isClosed);
    await stage.done;
  } finally {
    mock.timers.reset();
  }
});

Deno.test("whichever breaks, both are closed; also when only a write finds out, and one that was closed before it was carried", async () => {
  for (const which of ["client", "owner"] as const) {
    const lost = new Stage();
    lost[which].lose();
    assert(lost.isClosed);
    const broken = new Stage();
    broken[which].break();
    broken[which === "client" ? "owner" : "client"].bring(pattern(1, 10));
    assert(broken.isClosed);
    await Promise.all([lost.done, broken.done]);
  }
  const client = new ManualFlow();
  client.break(new Error("the connection is closed"));
  const owner = new ManualFlow();
  const carried = new Carried(client, owner, { rest: pattern(1, 10), hold: LITTLE, holdUp: () => {} });
  await carried.run();
  assert(client.isClosed && owner.isClosed);
});

Deno.test("while more than the bound is on its way to the client, nothing is read of the owner", async () => {
  const stage = new Stage({ bound: 1000 });
  const { client, owner, heldUp } = stage;
  client.underWay = 1000;
  owner.bring(pattern(1, 500));
  assert(!owner.isPaused);
  client.underWay = 1001;
  owner.bring(pattern(1, 500));
  assert(owner.isPaused);
  assert.equal(heldUp.length, 1);
  assert(!heldUp[0]!.goOn());
  assert(owner.isPaused);
  client.underWay = 1000;
  assert(heldUp[0]!.goOn());
  assert(!owner.isPaused);
  client.underWay = 2000;
  owner.bring(pattern(1, 500));
  assert.equal(heldUp.length, 2, "again");
  stage.carried.close();
  assert(heldUp[1]!.goOn(), "one that is closed is asked no more");
  await stage.done;
});

Deno.test("room at a client that has too much on its way has nothing more read", () => {
  const { client, owner, heldUp } = new Stage({ bound: 10, clientRoom: 5 });
  client.underWay = 11;
  owner.bring(pattern(1, 20));
  client.take();
  assert(owner.isPaused, "what was held is written, and too much is on its way");
  client.underWay = 0;
  assert(heldUp[0]!.goOn());
  assert(!owner.isPaused);
});

Deno.test("a client whose system owes an answer for too long is gone; one that only reads slowly is not", async () => {
  const stage = new Stage();
  const { client, owner, carried } = stage;
  carried.look(60_000, 0);
  owner.bring(pattern(1, 10));
  client.underWay = 10;
  for (let now = 0; now < 600_000; now += 1000) carried.look(60_000, now);
  assert(!stage.isClosed, "it answers, though it takes nothing");
  client.silent = 1;
  carried.look(60_000, 600_000);
  client.silent = 60_000;
  carried.look(0, 700_000);
  assert(!stage.isClosed);
  carried.look(60_000, 700_000);
  assert(stage.isClosed);
  await stage.done;
});
