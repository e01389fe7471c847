import assert from "node:assert/strict";
import { EpollPoller } from "../../../lib/link/engine/epoll/epoll_poller.ts";
import { MessageBell, MessageBellHearing } from "../../../lib/link/engine/message_bell.ts";
import { DescriptorCalls } from "../../../lib/link/engine/passing/descriptor_calls.ts";
import type { Pollable, Poller } from "../../../lib/link/engine/poller.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { RingPoller } from "../../../lib/link/engine/uring/ring_poller.ts";
import { reasonOf } from "../../../lib/link/link.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { datagramPair, RawSocket } from "../../helpers/raw_socket.ts";
import { turn, until } from "../../helpers/turns.ts";
import { NATIVE } from "../../helpers/engine.ts";
import { Wraps } from "../../helpers/wraps.ts";

// Here, as it stays open: a test that opened it would be said to leak it.
if (NATIVE.length > 0) DescriptorCalls.open();

const POLLERS: Partial<Record<string, () => Poller>> = {
  uring: () => new RingPoller(System.open()),
  epoll: () => new EpollPoller(System.open()),
};

/** Runs over the poller of each engine. */
function test(what: string, run: (open: () => Poller) => Promise<void>): void {
  for (const name of NATIVE) Deno.test(`${name}: ${what}`, () => run(POLLERS[name]!));
}

/** What is watched here: a descriptor that is ready when a test says so. */
class Bell implements Pollable {
  readonly fd: number;
  readonly place: number;
  readonly #poller: Poller;
  onEvents: () => void = () => {};
  serve: () => void = () => {};

  constructor(poller: Poller, fd = System.open().createBell()) {
    this.#poller = poller;
    this.fd = fd;
    this.place = poller.add(fd, this);
  }

  ring(): void {
    System.open().ring(this.fd);
  }

  close(): void {
    this.#poller.close(this.fd, this.place);
  }
}

/** Events of that number are taken, one round of them or more. */
async function rounds(poller: Poller, count = 3): Promise<void> {
  for (let i = 0; i < count; i++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    poller.again({ onEvents() {}, serve: resolve });
    await promise;
  }
}

test("an event is not told to who has the place, or the number, of one that was closed in its round", async (open) => {
  const poller = open();
  const bells = [new Bell(poller), new Bell(poller)];
  await rounds(poller);
  let late: Bell | undefined;
  let isInRound = false;
  for (const [i, bell] of bells.entries()) {
    bell.onEvents = () => {
      isInRound = true;
      queueMicrotask(() => isInRound = false); // none runs before the round is over
      const other = bells[1 - i]!;
      other.onEvents = () => assert.fail("it was told of one that was closed");
      other.close();
      bell.onEvents = () => {};
      late = new Bell(poller);
      // io_uring's places are given on when all that was asked for has come to its end.
      if (poller instanceof EpollPoller) assert.equal(late.place, other.place, "the case did not come up");
      else assert.notEqual(late.place, other.place, "a place was given on while something is under way");
      assert.notEqual(late.fd, other.fd, "a number was given on in the middle of a round");
      late.onEvents = () => assert.equal(isInRound, false, "it was told of another's event");
      bells[1 - i] = late;
    };
  }
  for (const bell of bells) bell.ring();
  while (!late) await turn();
  await rounds(poller);
  for (const bell of bells) bell.close();
  await poller.stop();
});

test("one that was given away in a round is not told of its event", async (open) => {
  const poller = open();
  const bells = [new Bell(poller), new Bell(poller)];
  await rounds(poller);
  let given = -1;
  for (const [i, bell] of bells.entries()) {
    bell.onEvents = () => {
      assert.equal(given, -1, "it was told of what is another's");
      given = 1 - i;
      poller.release(bells[given]!.fd, bells[given]!.place);
    };
  }
  for (const bell of bells) bell.ring();
  while (given < 0) await turn();
  bells[1 - given]!.onEvents = () => {};
  bells[given]!.ring();
  await rounds(poller);
  new RawSocket(bells[given]!.fd)[Symbol.dispose]();
  bells[1 - given]!.close();
  await poller.stop();
});

test("an idle thread is woken by who wants to be served, and by what was added meanwhile", async (open) => {
  const poller = open();
  const bell = new Bell(poller);
  for (let i = 0; i < 3; i++) {
    for (let turns = 0; turns < 50; turns++) await turn(); // it sleeps
    await rounds(poller, 2);
    for (let turns = 0; turns < 50; turns++) await turn();
    const other = new Bell(poller);
    const { promise, resolve } = Promise.withResolvers<void>();
    other.onEvents = resolve;
    await promise;
    other.close();
  }
  bell.close();
  await poller.stop();
});

test("whoever wants to be served is, also when nothing is watched, or no longer", async (open) => {
  const poller = open();
  await rounds(poller);
  const bell = new Bell(poller);
  await rounds(poller);
  let served = 0;
  bell.serve = () => served++;
  bell.onEvents = () => {
    bell.close();
    poller.again(bell);
  };
  bell.ring();
  while (served === 0) await turn();
  await rounds(poller);
  assert.equal(served, 1);
  await poller.stop();
});

test("whoever wants to be served is served once, in the next round, and holds nobody up who wants it all the time", async (open) => {
  const poller = open();
  const bell = new Bell(poller);
  await rounds(poller);
  let round = 0;
  let isInRound = false;
  const enter = () => {
    if (!isInRound) round++;
    isInRound = true;
    queueMicrotask(() => isInRound = false); // none runs before the round is over
  };
  const served: number[] = [];
  bell.onEvents = () => {
    enter();
    poller.again(bell);
  };
  bell.serve = () => {
    enter();
    served.push(round);
    if (served.length < 5) poller.again(bell);
  };
  bell.ring();
  while (served.length < 5) await turn();
  await rounds(poller);
  assert.deepEqual(served, [2, 3, 4, 5, 6]);
  bell.close();
  await poller.stop();
});

test("a poller that is stopped waits for whoever is added before it has come to its end, and refuses others", async (open) => {
  const descriptors = ownDescriptors().size;
  let [waited, refused] = [0, 0];
  for (let hops = 0; hops < 100; hops++) {
    const poller = open();
    const bell = new Bell(poller);
    await rounds(poller);
    const { promise: added, resolve } = Promise.withResolvers<void>();
    const addLate = async () => {
      for (let i = 0; i < hops; i++) await undefined;
      try {
        const late = new Bell(poller);
        late.onEvents = () => late.close();
        waited++;
      } catch (error) {
        assert.match(reasonOf(error), /Bad file descriptor|the engine is closed/);
        refused++;
      }
      resolve();
    };
    bell.onEvents = () => {
      bell.close();
      void addLate();
    };
    bell.ring();
    await Promise.all([poller.stop(), added]);
  }
  assert(waited > 0 && refused > 0, `${waited}, ${refused}`);
  assert.equal(ownDescriptors().size, descriptors);
});

test("whoever wants to be served is, also when the poller has come to its end before that", async (open) => {
  const poller = open();
  const served = Promise.withResolvers<void>();
  poller.again({ onEvents() {}, serve: served.resolve });
  await poller.stop();
  await served.promise;
  await turn();
});

test("what a pollable throws is not the end of the others", async (open) => {
  const poller = open();
  const [bad, good] = [new Bell(poller), new Bell(poller)];
  await rounds(poller);
  const errors: unknown[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    errors.push(event.error);
  };
  addEventListener("error", onError);
  bad.onEvents = bad.serve = () => {
    throw new Error("bad");
  };
  let told = 0;
  good.onEvents = () => told++;
  bad.ring();
  good.ring();
  poller.again(bad);
  await rounds(poller);
  while (errors.length < 2 || told === 0) await turn();
  removeEventListener("error", onError);
  bad.close();
  good.close();
  await poller.stop();
});

test("each may read less in a round in which many want to", async (open) => {
  const poller = open();
  const sharesOf = (count: number) => {
    const waiting = Array.from({ length: count }, () => Promise.withResolvers<number>());
    for (const { resolve } of waiting) poller.again({ onEvents() {}, serve: () => resolve(poller.share) });
    return Promise.all(waiting.map(({ promise }) => promise));
  };
  assert.deepEqual(await sharesOf(4), Array(4).fill(256 * 1024));
  assert.deepEqual(await sharesOf(16), Array(16).fill(64 * 1024));
  assert.deepEqual(await sharesOf(40), Array(40).fill(16 * 1024));
  assert.deepEqual(await sharesOf(1), [256 * 1024]);
  await poller.stop();
});

test("while messages are expected the thread waits for nothing that would hold these up", async (open) => {
  const poller = open();
  const waits: number[] = [];
  const wait = poller["wait"].bind(poller);
  poller["wait"] = (timeout) => {
    waits.push(timeout);
    wait(timeout);
  };
  // No eventfd: who writes to one does not ring, by the kernel's rule, the poller's own, which is another.
  const [end, far] = datagramPair();
  using ringing = new RawSocket(far);
  const bell = new Bell(poller, end);
  /** How long it may have waited in its thread, from an event until it sleeps. */
  const longest = async () => {
    waits.length = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    bell.onEvents = resolve;
    ringing.send(new Uint8Array(1));
    await promise;
    do await turn(); while (!poller["isSleeping"]);
    return Math.max(...waits);
  };
  do await turn(); while (!poller["isSleeping"]);
  assert(await longest() > 0);
  poller.expectsMessages = true;
  assert.equal(await longest(), 0);
  poller.expectsMessages = false;
  assert(await longest() > 0);
  bell.close();
  await poller.stop();
});

test("while messages are expected each round is followed by a turn in which they are heard, also when it has something to do", async (open) => {
  const poller = open();
  using wraps = new Wraps();
  // What comes from another thread, as this does, has Deno's loop look for all that has.
  let turns = 0;
  wraps.around(System.prototype, "waitForBell", (wait) => (...args) => {
    turns++;
    return wait(...args);
  });
  const bell = new Bell(poller);
  /** How many turns so many busy rounds have. */
  const turnsOf = async (rounds: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    turns = 0;
    const busy: Pollable = { onEvents() {}, serve: () => --rounds > 0 ? poller.again(busy) : resolve() };
    poller.again(busy);
    await promise;
    return turns;
  };
  await rounds(poller); // it is awake
  assert.equal(await turnsOf(20), 0);
  poller.expectsMessages = true;
  await rounds(poller);
  assert(await turnsOf(20) >= 19);
  poller.expectsMessages = false;
  bell.close();
  await poller.stop();
});

test("a bell that is rung wakes the poller, and has some turns in which messages are heard, also when it is busy", async (open) => {
  const poller = open();
  using wraps = new Wraps();
  let turns = 0;
  wraps.around(System.prototype, "waitForBell", (wait) => (bell, timeout) => {
    if (timeout === 0) turns++;
    return wait(bell, timeout);
  });
  const bell = MessageBell.open()!;
  const hearing = new MessageBellHearing(poller, bell.far);
  do await turn(); while (!poller["isSleeping"]);
  assert.equal(turns, 0);
  for (let i = 0; i < 100; i++) bell.ring(); // as often as it likes: it may be heard of more than once
  await until(() => turns >= 2, () => `${turns} turns`);
  do await turn(); while (!poller["isSleeping"]); // in which messages are heard too
  const before = turns;
  assert(before <= 9, `${before} turns`);
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = 20; // when it has had its turns
  const isBusy = () => turns < before + 3 || --left > 0;
  const busy: Pollable = { onEvents() {}, serve: () => isBusy() ? poller.again(busy) : resolve() };
  poller.again(busy);
  bell.ring();
  await promise;
  assert.equal(turns, before + 3);
  bell.close();
  bell.ring(); // which nobody hears
  bell.close();
  hearing.close();
  await poller.stop();
});

test("a poller that cannot wait any more says why, once, and comes to its end when it is stopped", async (open) => {
  using wraps = new Wraps();
  const poller = open();
  const bell = new Bell(poller);
  await rounds(poller);
  assert.equal(poller.failure, undefined);
  const reported: unknown[] = [];
  const listener = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.error);
  };
  globalThis.addEventListener("error", listener);
  const failure = new Error("nothing can be waited for");
  wraps.around(System.prototype, "waited", () => () => {
    throw failure;
  });
  bell.ring();
  while (reported.length === 0) await turn();
  globalThis.removeEventListener("error", listener);
  assert.deepEqual([poller.failure, reported], [failure, [failure]]);
  await poller.stop();
  System.open().close(bell.fd);
});
