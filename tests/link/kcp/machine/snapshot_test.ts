import assert from "node:assert/strict";
import { Kcp } from "../../../../lib/link/kcp/machine/kcp.ts";
import { runKcp } from "../../../helpers/kcp_run.ts";
import { bytesOf, CONV, KcpStage } from "../../../helpers/kcp_stage.ts";
import { Random } from "../../../helpers/random.ts";

const RUNS = 300;

Deno.test("machines that go on as others, again and again at any moment, give each other all bytes in order over any path", () => {
  const random = new Random();
  let moves = 0;
  for (let run = 0; run < RUNS; run++) {
    const seed = run === 0 ? random.seed : random.int(1, 2 ** 32 - 1);
    try {
      moves += runKcp(seed, random.next() * 0.3).moves;
    } catch (error) {
      throw new Error(`with GOSCON_SEED=${seed}`, { cause: error });
    }
  }
  assert(moves > 10 * RUNS, `only ${moves} moves`);
});

Deno.test("one that goes on knows all that the one before knew, and does what is due when that would have", () => {
  const stage = new KcpStage({ congestion: true }, { mustProve: true, epoch: 2 ** 32 - 5 });
  stage.input({ command: "push", sn: 0, data: "first" }, { command: "push", sn: 2, data: "third" });
  stage.sendEach("a", "b", "c");
  stage.pass(40).input({ command: "ack", sn: 1, ts: 2 ** 32 - 5, una: 0, window: 0 }, { command: "ask" });
  stage.input({ command: "push", sn: 4, ts: 77, data: "fifth", window: 0 });
  stage.send("not cut");
  for (let round = 0; round < 200; round++) {
    const before = stage.kcp.snapshotAt(stage.now);
    const moved = Kcp.restore(CONV, structuredClone(before), 5_000.5, { mustProve: true });
    assert.deepEqual(moved.snapshotAt(5_000.5), before);
    const due = moved.due - 5_000.5;
    assert.equal(due, Math.max(0, stage.kcp.due - stage.now));
    const [here, there]: [number[][], number[][]] = [[], []];
    moved.flush(5_000.5, (datagram) => there.push([...datagram]));
    stage.kcp.flush(stage.now, (datagram) => here.push([...datagram]));
    assert.deepEqual(there, here);
    stage.pass(Math.max(1, Math.min(stage.kcp.due - stage.now, 1000)));
  }
});

Deno.test("how long it stood still is not taken for the path", () => {
  const stage = new KcpStage();
  stage.sendEach("a");
  const moved = new KcpStage();
  moved.kcp = Kcp.restore(CONV, stage.pass(20).kcp.snapshotAt(stage.now), 0, {});
  moved.pass(5000).sendEach("b");
  moved.input({ command: "ack", sn: 0, ts: 0, una: 1 });
  assert.equal(moved.kcp.roundTrip, 0);
  moved.pass(7).input({ command: "ack", sn: 1, ts: 5020, una: 2 });
  assert.equal(moved.kcp.roundTrip, 7);
});

Deno.test("what cannot be of a machine makes none", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b");
  const snapshot = stage.kcp.snapshotAt(0);
  const { options, sender } = snapshot;
  const { flight } = sender;
  for (
    const wrong of [
      { options: { ...options, mtu: 24 } },
      { options: { ...options, mtu: 1501 } },
      { sender: { ...sender, bytes: bytesOf("abc") as Uint8Array<ArrayBuffer> } },
      { sender: { ...sender, uncut: 1 } },
      { sender: { ...sender, flight: { ...flight, slots: flight.slots.slice(1) } } },
      { sender: { ...sender, flight: { ...flight, slots: flight.slots.slice(4) } } },
    ]
  ) assert.throws(() => Kcp.restore(CONV, { ...snapshot, ...wrong }, 0, {}), { name: "RangeError" });
});
