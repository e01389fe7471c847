import assert from "node:assert/strict";
import { EpollPoller } from "../../../../lib/link/engine/epoll/epoll_poller.ts";
import { DescriptorCalls } from "../../../../lib/link/engine/passing/descriptor_calls.ts";
import { DescriptorSocket } from "../../../../lib/link/engine/passing/descriptor_socket.ts";
import { type Message, Parcel } from "../../../../lib/link/engine/passing/parcel.ts";
import { System } from "../../../../lib/link/engine/system.ts";
import type { LaneAnswer } from "../../../../lib/proxy/cluster/threads/moving/lane.ts";
import { type MovingInOptions, takeSessions } from "../../../../lib/proxy/cluster/threads/moving/moving_in.ts";
// Opens the C library, which stays open.
import "../../../helpers/engine.ts";
import { ownDescriptors } from "../../../helpers/own_descriptors.ts";
import { limitDescriptors } from "../../../helpers/raw_socket.ts";
import { packedOf, TestLane } from "../../../helpers/test_lane.ts";
import { settled, until } from "../../../helpers/turns.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
if (Deno.build.os === "linux") DescriptorCalls.open();

type Proxy = { [K in keyof MovingInOptions["proxy"]]: (session: unknown, descriptors: readonly number[]) => void };

/** Who takes sessions over a lane, and the other end of that. Leaves no descriptor behind. */
async function withTaker(
  proxy: Partial<Proxy>,
  run: (far: Parcel, lost: string[], taking: Promise<void>) => Promise<void>,
): Promise<void> {
  const before = ownDescriptors();
  const poller = new EpollPoller(System.open());
  const [near, far] = System.open().socketPair().map((fd) => new Parcel(new DescriptorSocket(poller, fd))) as [
    Parcel,
    Parcel,
  ];
  const lost: string[] = [];
  const options = { readMoved() {}, moveIn: (_: unknown, fds: readonly number[]) => fds.forEach(close), ...proxy };
  const taking = takeSessions(near, {
    proxy: options as unknown as MovingInOptions["proxy"],
    now: () => System.open().now(),
    onLost: (reason) => lost.push(reason),
  });
  await run(far, lost, taking);
  far.close();
  await taking;
  await poller.stop();
  assert.deepEqual(ownDescriptors(), before);
}

function close(fd: number): void {
  System.open().close(fd);
}

/** Gives a session, with so many descriptors. */
async function give(far: Parcel, session: string, descriptors = 1): Promise<void> {
  const bell = System.open().createBell();
  await far.send({ since: System.open().now(), session }, Array(descriptors).fill(bell));
  close(bell);
}

async function hear(far: Parcel): Promise<LaneAnswer> {
  using message: Message = (await far.receive())!;
  return message.data as LaneAnswer;
}

Deno.test(
  "a session that comes over a lane is touched when the other end knows that it is taken, and not before",
  LINUX,
  () => {
    const moved: unknown[] = [];
    const moveIn: Proxy["moveIn"] = (session, fds) => {
      moved.push(session);
      fds.forEach(close);
    };
    return withTaker({ moveIn }, async (far, lost, taking) => {
      await give(far, "one");
      assert.deepEqual(await hear(far), { step: "taken" });
      const { step, stoodStill } = await hear(far) as Extract<LaneAnswer, { step: "goes on" }>;
      assert.equal(step, "goes on");
      assert(stoodStill >= 0);
      await give(far, "two");
      far.close(); // so that it cannot be told
      await taking;
      assert.deepEqual([moved, lost], [["one"], []]);
    });
  },
);

Deno.test(
  "what cannot be taken is refused with the reason, and one that does not go on after all is lost",
  LINUX,
  () => {
    const readMoved: Proxy["readMoved"] = (session) => {
      if (session === "strange") throw new Error("what is that");
    };
    const moveIn: Proxy["moveIn"] = () => {
      throw new Error("it stumbled");
    };
    return withTaker({ readMoved, moveIn }, async (far, lost) => {
      await give(far, "strange", 2);
      assert.deepEqual(await hear(far), { step: "refused", reason: "what is that" });
      const before = limitDescriptors(3);
      await far.send({ since: 0, session: "many" }, [0]);
      const refused = await hear(far);
      limitDescriptors(before);
      assert.match((refused as Extract<LaneAnswer, { step: "refused" }>).reason, /limit of open files/);
      await give(far, "other");
      assert.deepEqual(await hear(far), { step: "taken" });
      assert.equal((await hear(far)).step, "goes on");
      assert.deepEqual(lost, ["it stumbled"]);
    });
  },
);

/** A lane, and its other end, of which a test has hold. Leaves no descriptor behind. */
async function withLane(run: (lane: TestLane, far: Parcel) => Promise<void>): Promise<void> {
  const before = ownDescriptors();
  const poller = new EpollPoller(System.open());
  const [near, other] = System.open().socketPair();
  const far = new Parcel(new DescriptorSocket(poller, other));
  await run(new TestLane(near), far);
  far.close();
  await poller.stop();
  assert.deepEqual(ownDescriptors(), before);
}

Deno.test(
  "what was said of a session before the other process ended is heard, whatever was given after that",
  LINUX,
  () =>
    withLane(async (lane, far) => {
      const done: number[] = [];
      const sessions = [0, 1, 2].map((i) => packedOf(i, [System.open().createBell()], () => done.push(i)));
      const passing = Promise.allSettled(sessions.map((session) => lane.pass(session)));
      for (let i = 0; i < 3; i++) (await far.receive())![Symbol.dispose]();
      await far.send({ step: "taken" });
      await until(() => done.length > 0, () => "it is not known to be taken");
      await far.send({ step: "goes on", stoodStill: 5 });
      await far.send({ step: "taken" });
      far.close();
      const later = packedOf(3, [System.open().createBell()]);
      const outcomes = [...await passing, ...await Promise.allSettled([lane.pass(later)])];
      assert.deepEqual(
        outcomes.map((each) => each.status === "fulfilled" ? each.value.step : each.status),
        ["goes on", "lost", "rejected", "rejected"],
      );
      const left = await lane.end(true);
      assert.deepEqual([done, left], [[0, 1], [sessions[2], later]]);
      for (const { descriptors } of left) descriptors.forEach(close);
    }),
);

Deno.test(
  "of a process that lives nobody takes back what it may have, and a slow one holds no end up",
  LINUX,
  () =>
    withLane(async (lane, far) => {
      const done: number[] = [];
      const passing = lane.pass(packedOf(0, [System.open().createBell()], () => done.push(0)));
      (await far.receive())![Symbol.dispose]();
      assert.equal(await settled(passing), false);
      assert.deepEqual(await lane.end(false), []);
      await assert.rejects(passing);
      assert.deepEqual(done, [0]);
    }),
);
