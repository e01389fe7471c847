import assert from "node:assert/strict";
import { KcpStage } from "../../../helpers/kcp_stage.ts";

/** Of segments with one byte of data each. */
const SMALL = { mtu: 25 };

Deno.test("in flight: 32 segments until the peer tells its window", () => {
  const stage = new KcpStage(SMALL);
  assert.equal(stage.send("x".repeat(100)), 32);
  assert.equal(stage.pushed().length, 32);
  stage.input({ command: "tell", window: 40 });
  assert.equal(stage.send("x".repeat(100)), 8);
  assert.deepEqual(stage.pushed(), [32, 33, 34, 35, 36, 37, 38, 39]);
});

Deno.test("in flight: no more segments from the first unacknowledged one on than the peer has room for", () => {
  const stage = new KcpStage(SMALL);
  stage.send("x".repeat(10));
  stage.input({ command: "tell", window: 3 });
  assert.deepEqual(stage.pushed(), [0, 1, 2]);
  stage.pass(10).input({ command: "ack", sn: 1, ts: 0, una: 0, window: 3 });
  assert.deepEqual(stage.pushed(), [0], "an ACK behind a missing one gives no room");
  stage.input({ command: "ack", sn: 0, ts: 10, una: 2, window: 3 });
  assert.deepEqual(stage.pushed(), [3, 4]);
});

Deno.test("in flight: no more than the own window", () => {
  const stage = new KcpStage({ ...SMALL, sendWindow: 5 });
  stage.input({ command: "tell", window: 1000 });
  assert.equal(stage.send("x".repeat(10)), 5);
  assert.equal(stage.pushed().length, 5);
});

Deno.test("in flight: a window that arrives late, of a time before the last una, is not believed", () => {
  const stage = new KcpStage(SMALL);
  stage.send("xxx");
  stage.flush();
  stage.input({ command: "ack", sn: 1, una: 2, window: 1 });
  stage.input({ command: "ack", sn: 0, una: 1, window: 9 });
  assert.equal(stage.send("x".repeat(10)), 0);
});

Deno.test("in flight: a datagram that was rebuilt does not tell the window", () => {
  const stage = new KcpStage(SMALL);
  stage.rebuilt({ command: "tell", window: 1 });
  assert.equal(stage.send("x".repeat(100)), 32);
});

Deno.test("back-pressure: what is held is no more than the window of the smaller end, and no more than the bytes allowed", () => {
  const stage = new KcpStage({ mtu: 124, sendWindow: 10, sendBytes: 750 });
  stage.input({ command: "tell", window: 50 });
  assert.equal(stage.send("x".repeat(2000)), 750);
  assert.equal(stage.kcp.room, 0);
  stage.flush();
  stage.input({ command: "tell", una: 2, window: 50 });
  assert.deepEqual([stage.kcp.room, stage.kcp.unacknowledged], [200, 550]);
  stage.input({ command: "tell", una: 2, window: 6 });
  assert.equal(stage.kcp.room, 50);
  stage.input({ command: "tell", una: 2, window: 0 });
  assert.equal(stage.kcp.room, 0);
});

Deno.test("zero window: asks after 7 s, and each time half as late again, up to 120 s", () => {
  const stage = new KcpStage();
  stage.input({ command: "tell", window: 0 });
  for (const wait of [7_000, 10_500, 15_750, 23_625, 35_437.5, 53_156.25, 79_734.375, 119_601.5625, 120_000, 120_000]) {
    assert.equal(stage.kcp.due, stage.now + wait);
    assert.deepEqual(stage.pass(wait - 1).flush(), []);
    const [asked, ...more] = stage.pass(1).flush();
    assert.deepEqual([asked!.command, asked!.sn, asked!.data, more], ["ask", 0, "", []]);
  }
});

Deno.test("zero window: what still comes without room does not put the question off", () => {
  const stage = new KcpStage();
  stage.input({ command: "tell", window: 0 });
  stage.pass(6_000).input({ command: "tell", window: 0 });
  assert.equal(stage.kcp.due, 7_000);
});

Deno.test("zero window: a window ends the questions, and a next time begins anew", () => {
  const stage = new KcpStage();
  stage.input({ command: "tell", window: 0 });
  stage.pass(7_000).flush();
  stage.input({ command: "tell", window: 1 });
  assert.equal(stage.kcp.due, Infinity);
  stage.input({ command: "tell", window: 0 });
  assert.equal(stage.kcp.due, stage.now + 7_000);
});

Deno.test("zero window: nothing new is sent, and at once when there is room again", () => {
  const stage = new KcpStage();
  stage.send("abc");
  stage.input({ command: "tell", window: 0 });
  assert.deepEqual(stage.flush(), []);
  stage.input({ command: "tell", window: 1 });
  assert.equal(stage.kcp.due, -Infinity);
  assert.deepEqual(stage.pushed(), [0]);
});

Deno.test("zero window: who is asked tells", () => {
  const stage = new KcpStage({ receiveWindow: 7 });
  stage.input({ command: "ask" });
  assert.equal(stage.kcp.due, 10, "in an interval");
  const [told, ...more] = stage.flush();
  assert.deepEqual([told!.command, told!.window, told!.una, more], ["tell", 7, 0, []]);
  assert.deepEqual([stage.flush(), stage.kcp.due], [[], Infinity]);
});

Deno.test("zero window: who was full tells at once when something was received, and else does not", () => {
  const stage = new KcpStage({ receiveBytes: 2 * 1476 });
  for (const sn of [0, 1]) stage.input({ command: "push", sn, data: "x".repeat(1476) });
  const acks = stage.flush();
  assert.deepEqual(acks.map(({ command, window, una }) => ({ command, window, una })), [
    { command: "ack", window: 0, una: 2 },
  ]);
  stage.kcp.receive(1475);
  assert.deepEqual([stage.flush(), stage.kcp.due], [[], Infinity], "there is no room for a segment yet");
  stage.kcp.receive(1);
  assert.equal(stage.kcp.due, -Infinity);
  assert.deepEqual(stage.flush().map(({ command, window, una }) => ({ command, window, una })), [
    { command: "tell", window: 1, una: 2 },
  ]);
  stage.kcp.receive();
  assert.equal(stage.kcp.due, Infinity);
});
