import assert from "node:assert/strict";
import { KcpStage } from "../../../helpers/kcp_stage.ts";

const LAST = 2 ** 32 - 1;
/** Machines whose numbers wrap soon, and in the middle of what a signed number of 32 bits has. */
const STARTS = [LAST, 2 ** 31 - 1].map((first) => ({ first, epoch: first }));
const after = (number: number, count: number) => (number + count) % 2 ** 32;

Deno.test("wrap: sn and ts go on from 0", () => {
  const stage = new KcpStage({}, { first: LAST, epoch: LAST });
  stage.sendEach("a");
  stage.pass(200).send("b");
  assert.deepEqual(stage.flush().map(({ sn, ts }) => [sn, ts]), [[LAST, 199], [0, 199]]);
});

Deno.test("wrap: a una behind it acknowledges what is before it", () => {
  for (const start of STARTS) {
    const stage = new KcpStage({}, start);
    stage.sendEach("a", "b", "c");
    stage.input({ command: "tell", una: after(start.first, 2) });
    assert.deepEqual([stage.kcp.una, stage.kcp.unacknowledged], [after(start.first, 2), 1]);
    stage.input({ command: "tell", una: start.first });
    assert.equal(stage.kcp.una, after(start.first, 2));
  }
});

Deno.test("wrap: ACKs behind it overtake what is before it", () => {
  for (const start of STARTS) {
    const stage = new KcpStage({}, start);
    const { first, epoch } = start;
    stage.sendEach("a");
    stage.pass(1).sendEach("b", "c");
    const ts = after(epoch, 1);
    stage.pass(30).input({ command: "ack", sn: after(first, 1), ts, una: first });
    stage.input({ command: "ack", sn: after(first, 2), ts, una: first });
    assert.equal(stage.kcp.roundTrip, 30);
    assert.deepEqual(stage.pushed(), [first]);
    assert.equal(stage.kcp.counters.fast, 1);
    stage.input({ command: "ack", sn: first, ts: after(epoch, 31), una: first });
    assert.deepEqual(stage.pass(10_000).pushed(), [], "the peer has all, though its una does not tell so");
  }
});

Deno.test("wrap: a segment is sent again at its time", () => {
  for (const start of STARTS) {
    const stage = new KcpStage({}, { ...start, epoch: start.epoch - 199 });
    stage.sendEach("a");
    assert.equal(stage.kcp.due, 200);
    assert.deepEqual(stage.pass(199).pushed(), []);
    assert.deepEqual(stage.pass(1).pushed(), [start.first]);
    assert.deepEqual(stage.pass(299).pushed(), []);
    assert.deepEqual(stage.pass(1).pushed(), [start.first]);
  }
});

Deno.test("wrap: segments of both sides of it are received in order, and acknowledged", () => {
  for (const start of STARTS) {
    const stage = new KcpStage({ receiveWindow: 4 }, start);
    const sns = [0, 1, 2, 3, 4].map((count) => after(start.first, count)) as [number, number, number, number, number];
    stage.input({ command: "push", sn: sns[3], data: "d" }, { command: "push", sn: sns[4], data: "no room" });
    stage.input({ command: "push", sn: sns[1], data: "b" }, { command: "push", sn: sns[2], data: "c" });
    assert.deepEqual(stage.flush().map(({ sn }) => sn), [sns[3], sns[1], sns[2]]);
    stage.input({ command: "push", sn: sns[0], data: "a" });
    assert.equal(stage.received(), "abcd");
    const [ack] = stage.flush();
    assert.deepEqual([ack!.sn, ack!.una], [sns[0], sns[4]]);
  }
});

Deno.test("wrap: a ring of segments in flight grows across it", () => {
  for (const { first } of STARTS) {
    const stage = new KcpStage({ mtu: 25 }, { first: first - 6 });
    for (let i = 0; i < 30; i++) stage.sendEach(String.fromCharCode(97 + i % 26));
    stage.input({ command: "tell", una: after(first - 6, 3), window: 64 });
    const again = stage.pass(200).flush();
    assert.deepEqual(again.map(({ sn }) => sn), Array.from({ length: 27 }, (_, i) => after(first - 6, 3 + i)));
    assert.equal(again.map(({ data }) => data).join(""), "defghijklmnopqrstuvwxyzabcd");
  }
});

Deno.test("wrap: a clock of any size and with fractions serves", () => {
  for (const now of [2 ** 32 - 0.5, 2 ** 40 + 0.25, 1e15]) {
    const stage = new KcpStage({}, { epoch: 5 });
    stage.pass(now).sendEach("a");
    const ts = Number((BigInt(Math.floor(now)) + 5n) % 2n ** 32n);
    assert.equal(stage.pass(200).flush()[0]!.ts, (ts + 200) % 2 ** 32);
  }
});
