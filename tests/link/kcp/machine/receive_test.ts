import assert from "node:assert/strict";
import { KcpStage, type Segment } from "../../../helpers/kcp_stage.ts";

const acked = (segments: Segment[]) =>
  segments.map(({ command, sn, ts }) => {
    assert.equal(command, "ack");
    return [sn, ts];
  });

Deno.test("ACK list: one for each PUSH that came behind a missing one, with its ts", () => {
  const stage = new KcpStage();
  stage.input({ command: "push", sn: 2, ts: 70, data: "c" }, { command: "push", sn: 1, ts: 80, data: "b" });
  stage.input({ command: "push", sn: 2, ts: 90, data: "c" });
  const acks = stage.flush();
  assert.deepEqual(acked(acks), [[2, 70], [1, 80], [2, 90]]);
  assert(acks.every(({ una }) => una === 0));
  assert.deepEqual(stage.flush(), [], "once");
});

Deno.test("ACK list: of those that una tells of, only the last", () => {
  const stage = new KcpStage();
  stage.input({ command: "push", sn: 0, ts: 70, data: "a" }, { command: "push", sn: 1, ts: 80, data: "b" });
  const acks = stage.flush();
  assert.deepEqual(acked(acks), [[1, 80]]);
  assert.equal(acks[0]!.una, 2);
  stage.input({ command: "push", sn: 0, ts: 90 }, { command: "push", sn: 3, ts: 91 }, {
    command: "push",
    sn: 1,
    ts: 92,
  });
  assert.deepEqual(acked(stage.flush()), [[3, 91], [1, 92]]);
});

Deno.test("ACK list: an ACK is due in an interval, and goes with what is sent before", () => {
  const stage = new KcpStage();
  stage.pass(100).input({ command: "push", ts: 7, data: "a" });
  assert.equal(stage.kcp.due, 110);
  stage.pass(3).input({ command: "push", sn: 1, ts: 9, data: "b" });
  assert.equal(stage.kcp.due, 110, "more does not put it off");
  stage.send("answer");
  assert.equal(stage.kcp.due, -Infinity);
  const datagrams = stage.datagrams();
  assert.deepEqual(datagrams.map((segments) => segments.map(({ command }) => command)), [["ack", "push"]]);
});

Deno.test("ACK list: it is bounded by the window, whatever comes", () => {
  const stage = new KcpStage({ receiveWindow: 4 });
  for (let ts = 1; ts <= 1000; ts++) stage.input({ command: "push", sn: 1 + ts % 3, ts, data: "x" });
  const acks = acked(stage.flush());
  assert.equal(acks.length, 4);
  assert.deepEqual(acks.at(-1), [2, 1000]);
});

Deno.test("receive: segments in any order, and twice, give the bytes once and in order", () => {
  const stage = new KcpStage();
  for (const sn of [3, 1, 1, 0, 0, 4, 2, 3]) stage.input({ command: "push", sn, data: "abcde"[sn]! });
  assert.equal(stage.received(), "abcde");
  assert.deepEqual([stage.kcp.next, stage.kcp.counters.repeated], [5, 3]);
});

Deno.test("receive: what comes again with other data changes nothing", () => {
  const stage = new KcpStage();
  stage.input({ command: "push", sn: 1, data: "b" }, { command: "push", sn: 1, data: "X" });
  stage.input({ command: "push", sn: 0, data: "a" }, { command: "push", sn: 0, data: "Y" });
  assert.equal(stage.received(), "ab");
});

Deno.test("receive: a segment within the window is taken, and one behind it neither taken nor acknowledged", () => {
  const stage = new KcpStage({ receiveWindow: 4 });
  stage.input({ command: "push", sn: 3, ts: 3, data: "d" }, { command: "push", sn: 4, ts: 4, data: "e" });
  assert.deepEqual(acked(stage.flush()), [[3, 3]]);
  assert.equal(stage.kcp.counters.outside, 1);
  for (const sn of [0, 1, 2]) stage.input({ command: "push", sn, data: "abc"[sn]! });
  assert.equal(stage.received(), "abcd");
});

Deno.test("receive: a segment of the past is acknowledged, also when there is no room", () => {
  const stage = new KcpStage({ receiveBytes: 1476 });
  stage.input({ command: "push", data: "x".repeat(1476) });
  stage.flush();
  stage.input({ command: "push", sn: 0, ts: 5, data: "x" }, { command: "push", sn: 1, ts: 6, data: "no room" });
  const acks = stage.flush();
  assert.deepEqual([acked(acks), acks[0]!.window], [[[0, 5]], 0]);
});

Deno.test("receive: the window is what the bytes not yet received leave, and never takes back what it told", () => {
  const stage = new KcpStage({ receiveWindow: 10, receiveBytes: 5 * 1476 });
  const told = () => {
    stage.input({ command: "ask" });
    const [{ una, window }] = stage.flush().slice(-1) as [Segment];
    return una + window;
  };
  let end = told();
  assert.equal(end, 5);
  for (const [sn, length] of [1476, 10, 1476, 0, 1400].entries()) {
    stage.input({ command: "push", sn, data: "x".repeat(length) });
    const next = told();
    assert(next >= end, `${next} after ${end}`);
    end = next;
  }
  assert.equal(end, 5 + 2);
  assert.equal(stage.kcp.readable, 4362);
  stage.received();
  assert.equal(told(), 5 + 5);
});

Deno.test("receive: what is held stays within the bytes allowed, whatever a peer sends", () => {
  const stage = new KcpStage({ receiveWindow: 100, receiveBytes: 10_000 });
  for (let sn = 99; sn >= 0; sn--) stage.input({ command: "push", sn, data: "x".repeat(1476) });
  for (let sn = 0; sn < 100; sn++) stage.input({ command: "push", sn, data: "x".repeat(1476) });
  assert.equal(stage.kcp.readable, 6 * 1476);
  assert.equal(stage.kcp.next, 6);
});

Deno.test("receive: as many bytes as wanted, and the rest at the next time", () => {
  const stage = new KcpStage();
  stage.input({ command: "push", sn: 0, data: "abc" }, { command: "push", sn: 1, data: "def" });
  const text = (most?: number) => new TextDecoder().decode(stage.kcp.receive(most));
  assert.deepEqual([text(2), text(0), text(2), text(), stage.kcp.receive()], ["ab", "", "cd", "ef", undefined]);
});
