import assert from "node:assert/strict";
import { KcpStage } from "../../../helpers/kcp_stage.ts";

Deno.test("time-out: a segment is sent again after the RTO, and each time half of it later with nodelay", () => {
  const stage = new KcpStage();
  stage.sendEach("a");
  for (const wait of [200, 300, 400, 500]) {
    assert.equal(stage.kcp.due, stage.now + wait);
    assert.deepEqual(stage.pass(wait - 1).pushed(), []);
    assert.deepEqual(stage.pass(1).pushed(), [0]);
  }
  assert.equal(stage.kcp.counters.timeout, 4);
});

Deno.test("time-out: a segment is sent again after the RTO, and each time a whole one later without nodelay", () => {
  const stage = new KcpStage({ nodelay: false });
  stage.sendEach("a");
  for (const wait of [200, 400, 600, 800]) {
    assert.deepEqual(stage.pass(wait - 1).pushed(), []);
    assert.deepEqual(stage.pass(1).pushed(), [0]);
  }
});

Deno.test("time-out: only what is overdue is sent again, with the time, una and window of now", () => {
  const stage = new KcpStage();
  stage.sendEach("a");
  stage.pass(50).sendEach("b");
  stage.input({ command: "push", data: "x" });
  assert.deepEqual(stage.pass(150).flush().map(({ command, sn, ts, una, data }) => ({ command, sn, ts, una, data })), [
    { command: "ack", sn: 0, ts: 0, una: 1, data: "" },
    { command: "push", sn: 0, ts: 200, una: 1, data: "a" },
  ]);
  assert.equal(stage.kcp.due, 250);
});

Deno.test("fast resend: a segment is sent again when two ACKs of later ones came, at the next flush", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c", "d");
  stage.pass(20).input({ command: "ack", sn: 1 });
  stage.input({ command: "ack", sn: 2 });
  assert.deepEqual(stage.pushed(), [0]);
  assert.deepEqual([stage.kcp.counters.fast, stage.kcp.counters.early, stage.kcp.counters.timeout], [1, 0, 0]);
  assert.deepEqual(stage.pushed(), [], "once");
});

Deno.test("fast resend: it is sent again also when new segments are sent", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c", "d");
  stage.pass(20).input({ command: "ack", sn: 1 }, { command: "ack", sn: 2 });
  stage.send("new");
  assert.deepEqual(stage.pushed(), [0, 4]);
});

Deno.test("fast resend: as many ACKs are needed as the option says", () => {
  const stage = new KcpStage({ resend: 3 });
  stage.sendEach("a", "b", "c", "d");
  stage.pass(20).input({ command: "ack", sn: 1 }, { command: "ack", sn: 2 });
  stage.send("new");
  assert.deepEqual(stage.pushed(), [4]);
  stage.input({ command: "ack", sn: 3 });
  stage.send("newer");
  assert.deepEqual(stage.pushed(), [0, 5]);
});

Deno.test("fast resend: 0 turns it off, and what is left is the early one", () => {
  const stage = new KcpStage({ resend: 0 });
  stage.sendEach("a", "b", "c", "d");
  stage.pass(20).input({ command: "ack", sn: 1 }, { command: "ack", sn: 2 }, { command: "ack", sn: 3 });
  stage.send("new");
  assert.deepEqual(stage.pushed(), [4]);
  assert.deepEqual(stage.pushed(), [0]);
  assert.equal(stage.kcp.counters.early, 1);
});

Deno.test("fast resend: an ACK of what was sent before the segment was sent again does not count", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c", "d", "e");
  stage.pass(20).input({ command: "ack", sn: 1 }, { command: "ack", sn: 2 });
  assert.deepEqual(stage.pushed(), [0], "with ts 20");
  stage.pass(5).input({ command: "ack", sn: 3, ts: 0 }, { command: "ack", sn: 4, ts: 0 });
  assert.deepEqual(stage.pushed(), []);
});

Deno.test("fast resend: an ACK of what was sent in the same flush counts, as of the same time", () => {
  const stage = new KcpStage({ mtu: 50 });
  stage.send("x".repeat(26 * 3));
  assert.deepEqual(stage.pushed(), [0, 1, 2]);
  stage.pass(20).input({ command: "ack", sn: 1 }, { command: "ack", sn: 2 });
  assert.deepEqual(stage.pushed(), [0]);
});

Deno.test("fast resend: the time until it is overdue begins anew, with the RTO of now", () => {
  const stage = new KcpStage();
  stage.sendEach("a");
  stage.pass(200).flush();
  stage.sendEach("b", "c");
  const ts = stage.now;
  stage.pass(20).input({ command: "ack", sn: 1, ts }, { command: "ack", sn: 2, ts });
  assert.deepEqual(stage.pushed(), [0]);
  assert.equal(stage.kcp.due - stage.now, 20 + 4 * 10);
});

Deno.test("fast resend: an ACK that comes twice counts once", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c");
  stage.pass(20).input({ command: "ack", sn: 1 }, { command: "ack", sn: 1 });
  stage.send("new");
  assert.deepEqual(stage.pushed(), [3]);
});

Deno.test("fast resend: it is due at once when the same datagram acknowledges an earlier segment", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c", "d");
  stage.pass(20).input({ command: "ack", sn: 0, una: 1 }, { command: "ack", sn: 2, una: 1 });
  assert.equal(stage.kcp.due, -Infinity);
  assert.deepEqual(stage.pushed(), [1]);
});

Deno.test("early resend: a segment is sent again after one ACK of a later one when nothing new is sent", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c");
  stage.pass(20).input({ command: "ack", sn: 1 });
  assert.equal(stage.kcp.due, 30, "in an interval");
  assert.deepEqual(stage.pushed(), [0]);
  assert.deepEqual([stage.kcp.counters.fast, stage.kcp.counters.early], [0, 1]);
});

Deno.test("early resend: not when something new is sent, and then at the next flush", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c");
  stage.pass(20).input({ command: "ack", sn: 1 });
  stage.send("new");
  assert.deepEqual(stage.pushed(), [3]);
  assert.equal(stage.kcp.due, 30, "in an interval");
  assert.deepEqual(stage.pass(10).pushed(), [0]);
});

Deno.test("what was acknowledged behind a missing segment is not sent again, however late that one is", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c");
  stage.pass(20).input({ command: "ack", sn: 1 }, { command: "ack", sn: 2 });
  assert.deepEqual(stage.pushed(), [0]);
  assert.deepEqual(stage.pass(10_000).pushed(), [0]);
  stage.input({ command: "ack", sn: 0, una: 3, ts: stage.now });
  assert.deepEqual([stage.kcp.unacknowledged, stage.kcp.due], [0, Infinity]);
});

Deno.test("a una acknowledges all before it; one of the past, or of what was not sent, says nothing", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c");
  stage.input({ command: "tell", una: 2 });
  assert.deepEqual([stage.kcp.una, stage.kcp.unacknowledged], [2, 1]);
  for (const una of [0, 1, 2, 4, 2 ** 31, 2 ** 32 - 1]) stage.input({ command: "tell", una });
  assert.deepEqual([stage.kcp.una, stage.kcp.unacknowledged], [2, 1]);
  assert.deepEqual(stage.pass(200).pushed(), [2]);
});

Deno.test("an ACK alone, without una, acknowledges only the one that it names", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b", "c");
  for (const sn of [1, 3, 2 ** 31, 2 ** 32 - 1]) stage.input({ command: "ack", sn, ts: 1 });
  assert.deepEqual([stage.kcp.una, stage.kcp.unacknowledged], [0, 3]);
  assert.deepEqual(stage.pass(200).pushed(), [0, 2]);
});
