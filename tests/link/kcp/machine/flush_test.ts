import assert from "node:assert/strict";
import { KcpStage } from "../../../helpers/kcp_stage.ts";

Deno.test("order in a flush: ACKs, the question for the window, what it is, and PUSHes: first those that are sent again", () => {
  const stage = new KcpStage();
  stage.sendEach("a");
  stage.input({ command: "push", sn: 0, ts: 1, window: 0 });
  stage.pass(7_000).input({ command: "ask", window: 0 });
  assert.deepEqual(stage.flush().map(({ command }) => command), ["ack", "ask", "tell", "push"]);
  stage.input({ command: "tell", window: 9 });
  stage.pass(7_000).send("b");
  assert.deepEqual(stage.pushed(), [0, 1]);
});

Deno.test("order in a flush: a datagram is cut when the next segment would make it longer than the mtu", () => {
  const stage = new KcpStage({ mtu: 24 * 3 + 10 });
  for (const sn of [9, 8, 7, 6]) stage.input({ command: "push", sn, ts: sn });
  stage.send("x".repeat(58 + 10));
  const datagrams = stage.datagrams().map((segments) => segments.map(({ command, data }) => command + data.length));
  assert.deepEqual(datagrams, [["ack0", "ack0", "ack0"], ["ack0"], ["push58"], ["push10"]]);
});

Deno.test("order in a flush: a datagram is filled to the last byte of the mtu", () => {
  const stage = new KcpStage({ mtu: 100 });
  stage.sendEach("x".repeat(26));
  stage.send("x".repeat(26));
  stage.pass(200);
  assert.deepEqual(stage.datagrams().map((segments) => segments.length), [2]);
});

Deno.test("a flush with nothing to send sends nothing", () => {
  const stage = new KcpStage();
  assert.deepEqual([stage.kcp.due, stage.datagrams()], [Infinity, []]);
});

Deno.test("stream: what is sent before a flush goes together, in segments as long as they can be", () => {
  const stage = new KcpStage({ mtu: 30 });
  for (const text of ["ab", "cdefg", "h", "ijklm", "n"]) stage.send(text);
  assert.equal(stage.kcp.due, -Infinity);
  const segments = stage.flush();
  assert.deepEqual(segments.map(({ sn, data }) => [sn, data]), [[0, "abcdef"], [1, "ghijkl"], [2, "mn"]]);
  assert(segments.every(({ fragments }) => fragments === 0));
});

Deno.test("send() copies: the caller's bytes may change", () => {
  const stage = new KcpStage();
  const bytes = Uint8Array.of(97, 98);
  stage.kcp.send(bytes);
  bytes.fill(120);
  assert.equal(stage.flush()[0]!.data, "ab");
});

Deno.test("input() copies: the datagram may change, be it early or in order", () => {
  const stage = new KcpStage();
  const datagram = Uint8Array.from([0x44, 0x33, 0x22, 0x11, 81, 0, 9, 0, ...Array(16).fill(0), 97]);
  datagram[20] = 1;
  datagram[12] = 1;
  assert.equal(stage.kcp.input(datagram, 0, true), "ok");
  datagram[12] = 0;
  datagram[24] = 98;
  assert.equal(stage.kcp.input(datagram, 0, true), "ok");
  datagram.fill(0);
  assert.equal(stage.received(), "ba");
});

Deno.test("bytes are sent again as they were, though the ring around them moved and wrapped", () => {
  const stage = new KcpStage({ mtu: 224, sendBytes: 1100 });
  let una = 0;
  for (let round = 0; round < 50; round++) {
    const text = String.fromCharCode(97 + round % 26).repeat(150) + String.fromCharCode(65 + round % 26).repeat(150);
    stage.send(text);
    assert.equal(stage.flush().map(({ data }) => data).join(""), text);
    assert.equal(stage.pass(70_000).flush().map(({ data }) => data).join(""), text);
    stage.input({ command: "ack", sn: una + 1, ts: stage.now, una: una += 2 });
  }
});

Deno.test("a machine at rest has nothing due and, when trimmed, no memory for segments", () => {
  const stage = new KcpStage();
  stage.send("x".repeat(40_000));
  const count = stage.flush().length;
  stage.input({ command: "ack", sn: count - 1, una: count });
  stage.kcp.trim();
  assert.deepEqual([stage.kcp.due, stage.kcp.unacknowledged, stage.kcp.readable], [Infinity, 0, 0]);
  stage.send("after");
  assert.deepEqual(stage.flush().map(({ sn, data }) => [sn, data]), [[count, "after"]]);
});
