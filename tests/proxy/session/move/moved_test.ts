import assert from "node:assert/strict";
import type { RemainsOfKcp } from "../../../../lib/link/kcp/conversation.ts";
import { type Moved, readMoved } from "../../../../lib/proxy/session/move/moved.ts";
import { AckedStage } from "../../../helpers/acked_stage.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { KcpStage } from "../../../helpers/kcp_stage.ts";
import { bytes, SessionStage } from "../../../helpers/session_stage.ts";

const NOTHING = new Uint8Array(0);
const remains = () => ({ came: NOTHING, isOver: false, fault: undefined, unsent: bytes("ab"), isEnding: false });

/** What remains of a conversation of KCP, in the middle of all that there can be. */
function remainsOfKcp(): RemainsOfKcp {
  const stage = new KcpStage({ congestion: true }, { mustProve: true });
  stage.input({ command: "push", sn: 1, data: "early" }, { command: "ask", window: 0 });
  stage.sendEach("a", "b");
  const place = { at: { hostname: "::", port: 1 }, cookie: 5, peer: new Uint8Array(40) };
  const fec = { data: 3, parity: 1, next: 4 };
  const conversation = { conv: -5, machine: stage.kcp.snapshotAt(0), fec, heardFor: 1.5, fedFor: 2, place };
  return { ...remains(), conversation };
}

/** One of each kind, in many states. */
async function all(): Promise<[moved: Moved, descriptors: number][]> {
  using _time = stillTime();
  const one = await SessionStage.relaying({ dialect: "goscon" });
  one.backend.end();
  const away = await SessionStage.relaying();
  away.flow.end();
  const sessions = [one, away, SessionStage.run()].map(({ session }) => session.leave()!);
  const other = await AckedStage.relaying({ dialect: "goscon", halfOpenTimeout: 9 });
  other.backend.end();
  const lost = await AckedStage.relaying();
  lost.flow.end();
  const acked = [other, lost, AckedStage.run()].map(({ session }) => session.leave()!);
  const gone = { id: 5, key: new Uint8Array(32), end: 0, index: 3, left: 1.5 };
  const session = sessions[0]!.snapshot.session;
  return [
    [{ format: 1, kind: "ids", ids: [1, 2 ** 32 - 1] }, 0],
    ...sessions.map(({ snapshot }) =>
      [{ format: 1, kind: "session", snapshot, client: remainsOfKcp(), backend: undefined }, 1] as [Moved, number]
    ),
    ...acked.map(({ snapshot }) =>
      [{ format: 1, kind: "acked session", snapshot, client: remains(), backend: remains() }, 2] as [Moved, number]
    ),
    [
      {
        format: 1,
        kind: "memory",
        ended: [{ id: 7, answer: { session, left: 5 } }, { id: 8, answer: undefined }],
        gone: [gone],
      },
      0,
    ],
    [{ format: 1, kind: "end" }, 0],
  ];
}

/** Every place in a value, as the objects and keys that lead there. */
function* places(value: unknown): Generator<[holder: Record<string, unknown>, key: string]> {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  for (const key of Object.keys(value)) {
    yield [value as Record<string, unknown>, key];
    yield* places((value as Record<string, unknown>)[key]);
  }
}

Deno.test("what a table gives is read, also after it has been copied, with what is missing left out", async () => {
  for (const [moved, descriptors] of await all()) {
    assert.deepEqual(readMoved(structuredClone(moved), descriptors), moved);
    const copy = structuredClone(moved);
    for (const [holder, key] of [...places(copy)]) {
      if (holder[key] === undefined && !Array.isArray(holder)) delete holder[key];
    }
    readMoved(copy, descriptors);
  }
});

Deno.test("another format, an unknown kind and a wrong number of descriptors are refused", async () => {
  const [ids] = await all();
  for (const format of [0, 2, "1", undefined]) {
    assert.throws(() => readMoved({ ...ids![0], format }, 0), { name: "ShapeError", message: /format/ });
  }
  for (const kind of ["toString", "other", undefined, 1]) {
    assert.throws(() => readMoved({ ...ids![0], kind }, 0), { name: "ShapeError", message: /kind/ });
  }
  for (const value of [undefined, null, 1, "ids", []]) assert.throws(() => readMoved(value, 0), { name: "ShapeError" });
  for (const [moved, descriptors] of await all()) {
    for (const wrong of [descriptors - 1, descriptors + 1]) {
      assert.throws(() => readMoved(moved, wrong), { name: "ShapeError", message: /descriptors/ });
    }
  }
});

Deno.test("whatever is of another type, or not known, is refused, wherever it is", async () => {
  let count = 0;
  for (const [moved, descriptors] of await all()) {
    const total = [...places(moved)].length;
    for (let i = 0; i < total; i++) {
      const copy = structuredClone(moved);
      const [holder, key] = [...places(copy)][i]!;
      const before = holder[key];
      for (const wrong of [Symbol(), 5n, NaN, {}, () => {}]) {
        if (typeof wrong === typeof before && !Number.isNaN(wrong)) continue; // it is an object too
        holder[key] = wrong;
        assert.throws(() => readMoved(copy, descriptors), { name: "ShapeError" }, `${key}: ${String(wrong)}`);
        count++;
      }
      holder[key] = before;
      readMoved(copy, descriptors);
      if (typeof before === "object" && before !== null && !Array.isArray(before) && !(before instanceof Uint8Array)) {
        (before as Record<string, unknown>).another = undefined;
        assert.throws(() => readMoved(copy, descriptors), { message: /another is not known/ });
      }
    }
  }
  assert(count > 500);
});

Deno.test("what is wrong is said with its place", async () => {
  const [moved] = (await all())[1]!;
  const copy = structuredClone(moved) as Extract<Moved, { kind: "session" }>;
  (copy.snapshot.record.client as { port: unknown }).port = "5";
  assert.throws(() => readMoved(copy, 1), {
    message: "session.snapshot.record.client.port is not an integer from 0 on",
  });
});
