import assert from "node:assert/strict";
import { join } from "node:path";
import { FORMAT, UPGRADE_VARIABLE, UpgradeFailed } from "../../../lib/admin/upgrade/steps.ts";
import { Door } from "../../../lib/admin/upgrade/door.ts";
import { type Heir, Inheritance } from "../../../lib/admin/upgrade/inheritance.ts";
import { BrokenParcel, type Parcel } from "../../../lib/link/engine/passing/parcel.ts";
import { Successor } from "../../../lib/admin/upgrade/successor.ts";
import { DescriptorCalls } from "../../../lib/link/engine/passing/descriptor_calls.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { withChildren } from "../../helpers/children.ts";
// Opens the C library, which stays open.
import "../../helpers/engine.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { TestLog } from "../../helpers/proxy.ts";
import { limitDescriptors, RawSocket } from "../../helpers/raw_socket.ts";
import { packedOf, TestLane } from "../../helpers/test_lane.ts";
import { settled, until } from "../../helpers/turns.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const CHILD = join(import.meta.dirname!, "..", "..", "helpers", "successor_child.ts");
if (Deno.build.os === "linux") DescriptorCalls.open();

/** A pair of sockets, of which one is passed, and what comes back by the other. */
class Wire implements Disposable {
  readonly fd: number;
  readonly #near: RawSocket;
  #said = "";

  constructor() {
    const [near, far] = System.open().socketPair();
    this.fd = far;
    this.#near = new RawSocket(near);
  }

  /** What the other process has said; nothing when it has closed without a word. */
  async said(): Promise<string> {
    const lines = () => {
      const bytes = this.#near.tryReceive(1000);
      if (bytes) this.#said += new TextDecoder().decode(bytes);
      return this.#said.includes("\n") || bytes?.length === 0;
    };
    await until(lines, () => `nothing came but ${this.#said}`);
    const [line = "", ...rest] = this.#said.split("\n");
    this.#said = rest.join("\n");
    return line;
  }

  [Symbol.dispose](): void {
    this.#near[Symbol.dispose]();
    System.open().close(this.fd);
  }
}

function start(how: string, timeout = 60_000): Successor {
  const invocation = { command: Deno.execPath(), args: ["run", "-A", "--quiet", CHILD, how] };
  return new Successor({ invocation, timeout, version: "1.2.2", log: new TestLog() });
}

const listenerOf = (...descriptors: number[]) => ({ hostname: "0.0.0.0", port: 0, hadPort: 4711, descriptors });

/** A process that has taken over, and what it says. */
async function taken(how: string): Promise<{ successor: Successor; wire: Wire }> {
  const wire = new Wire();
  const successor = start(how);
  await successor.begin();
  await successor.give("proxy", listenerOf(wire.fd, wire.fd));
  await successor.give("proxy", { ...listenerOf(wire.fd), hostname: "unwanted.example" });
  await successor.give("manager", listenerOf(wire.fd));
  await successor.ready();
  assert.equal(await wire.said(), `${Deno.pid} 4711 2 undefined`);
  await successor.takeOver([1, 2]);
  assert.equal(await wire.said(), "asked");
  return { successor, wire };
}

/** Passes sessions of these keys at once. Gives what came of each, and what came back by its descriptor. */
async function pass(lane: TestLane, ...keys: bigint[]): Promise<[step: string, said: string][]> {
  using stack = new DisposableStack();
  const wires = keys.map(() => stack.use(new Wire()));
  const passed = keys.map((key, i) => packedOf({ key }, [DescriptorCalls.open().duplicate(wires[i]!.fd)]));
  const outcomes = await Promise.all(passed.map((session) => lane.pass(session)));
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.step !== "refused") continue;
    System.open().shutdownWrite(wires[i]!.fd); // nothing comes by that
    System.open().close(passed[i]!.descriptors[0]!);
  }
  const said = await Promise.all(wires.map((wire) => wire.said()));
  return said.map((line, i) => [outcomes[i]!.step, line]);
}

/** Leaves no process and no descriptor behind. */
function test(name: string, run: () => Promise<void>): void {
  Deno.test(name, LINUX, async () => {
    const before = ownDescriptors();
    await withChildren(run);
    assert.deepEqual(ownDescriptors(), before);
  });
}

test("another process gets listeners, then sessions over lanes, and what else there is, and lets this one go", async () => {
  const { successor, wire } = await taken("take");
  assert.equal(successor.layout.threads, 3);
  const lanes = [new TestLane(await successor.openLane(0)), new TestLane(await successor.openLane(2))] as const;
  for (let key = 2n ** 63n, count = 1; count < 20; count++) {
    const keys = Array.from({ length: count }, () => key++);
    assert.deepEqual(await pass(lanes[count % 2]!, ...keys), keys.map((key) => ["goes on", String(key)]));
  }
  assert.equal(await successor.pass("a piece"), undefined);
  assert.equal(await wire.said(), "a piece");
  assert.equal(await successor.pass("nothing"), "that is nothing");
  const bytes = (...bytes: number[]) => Uint8Array.from(bytes);
  successor.onDatagrams(5, [{ peer: bytes(1), datagram: bytes(2, 3) }, { peer: bytes(4), datagram: bytes() }]);
  assert.equal(await wire.said(), "5 1,2,3,4");
  await successor.finish({ done: 7, failed: 1 });
  await successor.late();
  assert.equal(await wire.said(), "7");
  // Others are late.
  const late = new TestLane(await successor.openLane(1));
  assert.deepEqual(await pass(late, 3n, 4n), [["goes on", "3"], ["goes on", "4"]]);
  for (const lane of [...lanes, late]) assert.deepEqual(await lane.end(false), []);
  await successor.leave();
  assert.equal(await wire.said(), "left");
  wire[Symbol.dispose]();
});

test("a session that the other process does not take stays here, with the reason, and the next ones go on", async () => {
  const { successor, wire } = await taken("refuse");
  const lane = new TestLane(await successor.openLane(0));
  assert.deepEqual(await pass(lane, 1n, 2n, 3n), [["goes on", "1"], ["refused", ""], ["goes on", "3"]]);
  assert.deepEqual(await pass(lane, 4n), [["goes on", "4"]]);
  await lane.end(false);
  await successor.abandon("that was enough");
  wire[Symbol.dispose]();
});

test("a crash is told, and of what it has in its hands that is here still which the other process has not taken", async () => {
  const { successor, wire } = await taken("crash");
  const lane = new TestLane(await successor.openLane(0));
  assert.deepEqual(await pass(lane, 1n), [["goes on", "1"]]);
  const bell = System.open().createBell();
  const sessions = [2n, 3n, 4n].map((key) => packedOf({ key }, [DescriptorCalls.open().duplicate(bell)]));
  const [taken2, ...others] = await Promise.allSettled(sessions.map((session) => lane.pass(session)));
  assert.equal(taken2!.status, "fulfilled");
  for (const { status, reason } of others as PromiseRejectedResult[]) {
    assert.equal(status, "rejected");
    assert(reason instanceof BrokenParcel);
  }
  await assert.rejects(successor.pass("a piece"), (error) => {
    assert(error instanceof UpgradeFailed);
    assert.deepEqual(error.faults, ["the new process ended with code 7"]);
    return true;
  });
  await successor.abandon("it is gone");
  assert.deepEqual(await lane.end(true), sessions.slice(1));
  for (const fd of [bell, ...sessions.slice(1).flatMap(({ descriptors }) => descriptors)]) System.open().close(fd);
  wire[Symbol.dispose]();
});

test("what waits for the other process rejects when that is abandoned", async () => {
  const successor = start("take");
  const begun = assert.rejects(successor.begin(), { faults: ["never mind"] });
  await successor.abandon("never mind");
  await successor.abandon("never mind");
  await begun;
});

/** What a process that takes over meets at the other end, which is here. */
async function withInheritance(run: (door: Door) => Promise<void>): Promise<void> {
  const door = new Door(() => assert.fail());
  Deno.env.set(UPGRADE_VARIABLE, door.path);
  await run(door);
  assert.equal(Deno.env.get(UPGRADE_VARIABLE), undefined);
  await door.close();
}

/** One that has said who it is, and heard who the other end is. */
async function introduced(door: Door, format = FORMAT): Promise<{ parcel: Parcel; inheritance: Inheritance }> {
  const opening = Inheritance.open("1.0.0");
  const parcel = await door.accept();
  (await parcel.receive())![Symbol.dispose]();
  await parcel.send({ step: "hello", format, version: "1.0.0", pid: 5 });
  return { parcel, inheritance: (await opening)! };
}

/** One that takes what it is given, and has nothing else to do. */
function heirOf(heir: Pick<Heir, "take"> & Partial<Heir>): Heir {
  const layout = { threadBits: 0, slotBits: 0, epochBits: 0 };
  const none = () => assert.fail();
  return { layout, assertMovable() {}, takeSessions: none, hearDatagrams: none, onLost: none, ...heir };
}

/** What `takeSessions` of one comes to, which has said that it serves. */
async function taking(inheritance: Inheritance, heir: Heir, parcel: Parcel): Promise<{ isWhole: Promise<boolean> }> {
  const isWhole = inheritance.takeSessions(heir);
  (await parcel.receive())![Symbol.dispose]();
  return { isWhole };
}

/** Passes a session without descriptors, and has the other go on with it. */
async function passOne(parcel: Parcel, session: number): Promise<void> {
  await parcel.send({ step: "session", session });
  using held = (await parcel.receive())!;
  assert.deepEqual(held.data, { step: "held" });
  await parcel.send({ step: "go on" });
}

test("one that nobody started to take over has no inheritance, and one whose starter is gone says so", async () => {
  assert.equal(await Inheritance.open("1"), undefined);
  Deno.env.set(UPGRADE_VARIABLE, "/nowhere/upgrade.sock");
  await assert.rejects(
    Inheritance.open("1"),
    /Cannot take over from the process at \/nowhere\/upgrade\.sock: No such file/,
  );
  assert.equal(await Inheritance.open("1"), undefined);
});

test("the format of now and the one before are taken over, others are refused on both sides", async () => {
  for (const format of [FORMAT - 2, FORMAT - 1, FORMAT, FORMAT + 1]) {
    await withInheritance(async (door) => {
      const opening = Inheritance.open("1.0.0").then((inheritance) => inheritance!, (error) => error as Error);
      const parcel = await door.accept();
      using started = (await parcel.receive())!;
      assert.deepEqual(started.data, { step: "started", format: FORMAT, version: "1.0.0" });
      await parcel.send({ step: "hello", format, version: "2.0.0", pid: 5 });
      const inheritance = await opening;
      if (inheritance instanceof Inheritance) {
        assert(format === FORMAT - 1 || format === FORMAT);
        await inheritance.refuse(["one", "two"]);
      } else assert.match(inheritance.message, /1\.0\.0 cannot take over from goscon 2\.0\.0: formats 4 and (2|5)$/);
      using faults = (await parcel.receive())!;
      const { step, faults: told } = faults.data as { step: string; faults: string[] };
      assert.deepEqual([step, told], ["faults", inheritance instanceof Error ? [inheritance.message] : ["one", "two"]]);
    });
  }
});

for (const isToldSo of [true, false]) {
  test(`sessions that came are touched ${isToldSo ? "only when" : "by nobody, unless"} the old process says so`, () =>
    withInheritance(async (door) => {
      const { parcel, inheritance } = await introduced(door);
      const taken: unknown[] = [];
      const heir = heirOf({
        take: (session, [fd]) => {
          taken.push(session);
          System.open().close(fd!);
        },
      });
      const { isWhole } = await taking(inheritance, heir, parcel);
      using wire = new Wire();
      for (const session of [1, 2]) {
        await parcel.send({ step: "session", session }, [wire.fd]);
        using held = (await parcel.receive())!;
        assert.deepEqual(held.data, { step: "held" });
      }
      assert.deepEqual(taken, []);
      if (isToldSo) {
        await parcel.send({ step: "go on" });
        (await parcel.receive())![Symbol.dispose]();
        await parcel.send({ step: "done", record: { done: 1, failed: 0 } });
        (await parcel.receive())![Symbol.dispose]();
        await parcel.end();
      } else parcel.close();
      assert.equal(await isWhole, isToldSo);
      assert.deepEqual(taken, isToldSo ? [1, 2] : []);
      await inheritance.leave(heir);
    }));
}

test("datagrams are heard of at once, whatever is being taken", () =>
  withInheritance(async (door) => {
    const { parcel, inheritance } = await introduced(door);
    const heard: unknown[] = [];
    const taken = Promise.withResolvers<void>();
    const heir = heirOf({
      take: () => taken.promise,
      hearDatagrams: (...datagrams) => heard.push(datagrams),
    });
    const { isWhole } = await taking(inheritance, heir, parcel);
    await passOne(parcel, 1);
    const came = [{ peer: Uint8Array.of(1), datagram: Uint8Array.of(2, 3) }, {
      peer: Uint8Array.of(4),
      datagram: new Uint8Array(0),
    }];
    await parcel.send({ step: "datagrams", cookie: 5, came });
    await until(() => heard.length > 0, () => "nothing is heard");
    assert.deepEqual(heard, [[5, came]]);
    parcel.close();
    taken.resolve();
    assert.equal(await isWhole, false);
    await inheritance.leave(heir);
  }));

test("an old process is told when its sessions are taken, so that the next ones need not stand still before", () =>
  withInheritance(async (door) => {
    const { parcel, inheritance } = await introduced(door);
    const first = Promise.withResolvers<void>();
    const heir = heirOf({ take: () => first.promise });
    const { isWhole } = await taking(inheritance, heir, parcel);
    await passOne(parcel, 1);
    const told = parcel.receive();
    assert.equal(await settled(told), false);
    first.resolve();
    using taken = (await told)!;
    assert.deepEqual(taken.data, { step: "taken" });
    parcel.close();
    assert.equal(await isWhole, false);
    await inheritance.leave(heir);
  }));

/** See `limitDescriptors`, until it is disposed of. */
function limited(count: number): Disposable {
  const before = limitDescriptors(count);
  return { [Symbol.dispose]: () => void limitDescriptors(before) };
}

test("a session whose descriptors the new process has no room for is refused, and the others are taken", () =>
  withInheritance(async (door) => {
    const { parcel, inheritance } = await introduced(door);
    const taken: unknown[] = [];
    const take = (session: unknown, descriptors: readonly number[]) => {
      taken.push([session, descriptors.length]);
      for (const fd of descriptors) System.open().close(fd);
    };
    const heir = heirOf({ take });
    const { isWhole } = await taking(inheritance, heir, parcel);
    using wire = new Wire();
    // The next numbers that are free are above that one.
    using _limit = limited(wire.fd + 30);
    for (const [session, count] of [[1, 2], [2, 200], [3, 1]] as const) {
      await parcel.send({ step: "session", session }, Array(count).fill(wire.fd));
      using held = (await parcel.receive())!;
      const { step, refused } = held.data as { step: string; refused?: string };
      assert.equal(step, "held");
      if (session === 2) assert.match(refused!, /limit of open files/);
      else assert.equal(refused, undefined);
    }
    await parcel.send({ step: "go on" });
    (await parcel.receive())![Symbol.dispose]();
    await parcel.send({ step: "done", record: { done: 1, failed: 0 } });
    (await parcel.receive())![Symbol.dispose]();
    await parcel.end();
    assert.equal(await isWhole, true);
    assert.deepEqual(taken, [[1, 2], [3, 1]]);
    await inheritance.leave(heir);
  }));

test("a lane is for the thread that is named; the new process gives it up when it has no room for one", () =>
  withInheritance(async (door) => {
    const { parcel, inheritance } = await introduced(door);
    const lanes: number[] = [];
    const heir = heirOf({
      take: () => assert.fail(),
      takeSessions: (thread, lane) => {
        lanes.push(thread);
        System.open().close(lane);
      },
    });
    const { isWhole } = await taking(inheritance, heir, parcel);
    using wire = new Wire();
    await parcel.send({ step: "lane", thread: 7 }, [wire.fd]);
    await until(() => lanes.length > 0, () => "no lane came");
    assert.deepEqual(lanes, [7]);
    const before = limitDescriptors(3);
    await parcel.send({ step: "lane", thread: 8 }, [wire.fd]);
    assert.equal(await isWhole, false);
    limitDescriptors(before);
    assert.deepEqual(lanes, [7]);
    parcel.close();
    await inheritance.leave(heir);
  }));

for (const [how, came] of [["goes on by itself", "rejects"], ["is gone", "alone"]] as const) {
  test(`a process that is ready ${came === "alone" ? "takes over alone" : "gives up"} when the other ${how}`, () =>
    withInheritance(async (door) => {
      const { parcel, inheritance } = await introduced(door);
      const listeners = inheritance.listeners({ listen: [] });
      (await parcel.receive())![Symbol.dispose]();
      await parcel.send({ step: "listeners" });
      assert.deepEqual(await listeners, { listen: [], manager: undefined, door: undefined, node: undefined });
      const ready = inheritance.ready();
      (await parcel.receive())![Symbol.dispose]();
      if (came === "alone") parcel.close();
      else await parcel.end();
      if (came === "alone") assert.equal(await ready, "alone");
      else await assert.rejects(ready, UpgradeFailed);
      await inheritance.refuse([]);
    }));
}
