import assert from "node:assert/strict";
import type { Pollable } from "../../../../lib/link/engine/poller.ts";
import { System } from "../../../../lib/link/engine/system.ts";
import { CQE_MORE, Ring } from "../../../../lib/link/engine/uring/ring.ts";
import { RingPoller } from "../../../../lib/link/engine/uring/ring_poller.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { RingSpy } from "../../../helpers/ring_spy.ts";
import { turn, until } from "../../../helpers/turns.ts";

const RING = { ignore: !NATIVE.includes("uring") };
const EPOLLIN = 1;
/** Of the ring: what can be asked for at once, and what can be done and not looked at. */
const [ENTRIES, COMPLETIONS] = [256, 4096];
/** Kinds of operations at a place, in their names. */
const [KIND, WATCH, RECEIVE] = [15, 1, 2];

/** What is done, by its name: how often it was told. */
function drain(ring: Ring, into: Map<number, number>): void {
  for (; ring.ready > 0; ring.advance()) {
    const { next: at } = ring;
    const name = ring.low(at);
    assert.deepEqual([ring.high(at), ring.result(at), ring.flags(at) & CQE_MORE], [-name, EPOLLIN, 0]);
    into.set(name, (into.get(name) ?? 0) + 1);
  }
}

Deno.test("a ring takes more than it has room for, and loses nothing that is done and not looked at", RING, () => {
  using spy = new RingSpy();
  const system = System.open();
  const ring = new Ring(system);
  const bell = system.createBell();
  system.ring(bell);
  const count = 2 * COMPLETIONS + 7;
  for (let name = 1; name <= count; name++) ring.poll(bell, EPOLLIN, false, name, -name);
  assert(spy.enters >= Math.floor(count / ENTRIES), "it was never full");
  ring.enter(0);
  assert.equal(ring.ready, COMPLETIONS, "no more than there is room for");
  const told = new Map<number, number>();
  for (let enters = 0; told.size < count; enters++) {
    assert(enters < 100, `only ${told.size} of ${count} are told`);
    drain(ring, told);
    ring.enter(0);
  }
  assert([...told.values()].every((times) => times === 1));
  // It goes on as before.
  ring.poll(bell, EPOLLIN, false, count + 1, -count - 1);
  ring.enter(1);
  drain(ring, told);
  assert.equal(told.size, count + 1);
  ring.close();
  system.close(bell);
  assert.equal(spy.mapped.size, 0);
});

Deno.test("a poller watches more at once than its ring has room for, and each is told", RING, async () => {
  const system = System.open();
  const poller = new RingPoller(system);
  const bell = system.createBell();
  const told: number[] = [];
  const places = Array.from({ length: COMPLETIONS + 1000 }, (_, i) => {
    const pollable: Pollable = { onEvents: () => told[i] = (told[i] ?? 0) + 1, serve() {} };
    return poller.add(bell, pollable);
  });
  for (let round = 1; round <= 3; round++) {
    system.ring(bell);
    const untold = () => places.findIndex((_, i) => !(told[i]! >= round));
    await until(() => untold() < 0, () => `that of number ${untold()} is not told in round ${round}`);
  }
  const last = places.pop()!;
  for (const place of places) poller.release(bell, place);
  poller.close(bell, last);
  await poller.stop();
});

Deno.test("what becomes of an operation is not told to who has its place by then", RING, async () => {
  const system = System.open();
  const names: { ring: Ring; low: number; high: number }[] = [];
  const { poll } = Ring.prototype;
  Ring.prototype.poll = function (fd, events, isMulti, low, high) {
    names.push({ ring: this, low, high });
    poll.call(this, fd, events, isMulti, low, high);
  };
  const poller = new RingPoller(system);
  const [first, second] = [system.createBell(), system.createBell()];
  let told = 0; // at first, of each, that it can be written to
  const nobody: Pollable = { onEvents: () => told++, serve() {} };
  const place = poller.add(first, nobody);
  const { ring, low, high } = names.at(-1)!;
  poller.release(first, place);
  let later = -1;
  for (let turns = 0; later !== place; turns++) {
    assert(turns < 1000, "its place is never given on");
    await turn();
    later = poller.add(second, nobody);
    if (later !== place) poller.release(second, later);
  }
  assert.notEqual(names.at(-1)!.high, high, "it has the same name");
  for (let turns = 0; turns < 100; turns++) await turn();
  const before = told;
  // As if the system told of it only now, whatever kind it was.
  system.ring(first);
  for (const kind of [WATCH, RECEIVE]) poll.call(ring, first, EPOLLIN, false, low & ~KIND | kind, high);
  poller.again({ serve() {}, onEvents() {} }); // so that it hands them over
  for (let turns = 0; turns < 100; turns++) await turn();
  assert.equal(told, before);
  Ring.prototype.poll = poll;
  poller.release(second, later);
  for (const fd of [first, second]) system.close(fd);
  await poller.stop();
});
