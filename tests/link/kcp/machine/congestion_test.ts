import assert from "node:assert/strict";
import { KcpStage } from "../../../helpers/kcp_stage.ts";

const OPTIONS = { mtu: 124, congestion: true };

/** Of a stage with always something to send: how many segments it has in flight, after each datagram that acknowledges all. */
function growth(stage: KcpStage, datagrams: number): number[] {
  const sizes: number[] = [];
  for (let i = 0; i < datagrams; i++) {
    while (stage.send("x".repeat(100)) > 0);
    const sent = stage.pushed();
    sizes.push(sent.length);
    stage.pass(1).input({ command: "ack", sn: sent.at(-1)!, ts: stage.now - 1, una: sent.at(-1)! + 1, window: 1000 });
  }
  return sizes;
}

Deno.test("congestion: begins with one segment, grows by one up to the threshold of two, and then by one a round trip", () => {
  // Worked out by hand: the bytes behind the window are 200, 256, 301, 340, 375, 407 with a segment of 100 bytes.
  assert.deepEqual(growth(new KcpStage(OPTIONS), 8), [1, 2, 2, 3, 3, 3, 4, 4]);
});

Deno.test("congestion: the window is not larger than that of the peer", () => {
  const stage = new KcpStage(OPTIONS);
  stage.input({ command: "tell", window: 2 });
  for (let una = 0; una < 40;) {
    while (stage.send("x".repeat(100)) > 0);
    const sent = stage.pushed();
    assert(sent.length <= 2);
    una += sent.length;
    stage.pass(1).input({ command: "ack", sn: una - 1, ts: stage.now - 1, una, window: 2 });
  }
  stage.input({ command: "tell", una: 40, window: 1000 });
  while (stage.send("x".repeat(100)) > 0);
  assert.equal(stage.pushed().length, 2, "nor does it grow in secret");
});

Deno.test("congestion: a segment that is overdue makes the window one, and what was half of it the threshold", () => {
  const stage = new KcpStage(OPTIONS);
  growth(stage, 30);
  while (stage.send("x".repeat(100)) > 0);
  const sent = stage.pushed();
  assert(sent.length >= 8, `${sent.length}`);
  assert.deepEqual(stage.pass(1000).pushed(), sent, "all are overdue");
  const una = sent.at(-1)! + 1;
  stage.input({ command: "ack", sn: una - 1, ts: stage.now, una, window: 1000 });
  const half = sent.length >> 1;
  assert.deepEqual(growth(stage, half).slice(0, half - 1), Array.from({ length: half - 1 }, (_, i) => i + 2));
});

Deno.test("congestion: a segment that was overtaken makes the window half of what is in flight, and as many as overtook it", () => {
  const stage = new KcpStage({ ...OPTIONS, resend: 2 });
  growth(stage, 60);
  while (stage.send("x".repeat(100)) > 0);
  const sent = stage.pushed();
  const [first] = sent as [number];
  assert(sent.length >= 8, `${sent.length}`);
  stage.pass(1).input({ command: "ack", sn: first + 1, ts: stage.now - 1, una: first, window: 1000 }, {
    command: "ack",
    sn: first + 2,
    ts: stage.now - 1,
    una: first,
    window: 1000,
  });
  assert.deepEqual(stage.pushed(), [first]);
  const una = sent.at(-1)! + 1;
  stage.input({ command: "ack", sn: una - 1, ts: stage.now, una, window: 1000 });
  while (stage.send("x".repeat(100)) > 0);
  assert.equal(stage.pushed().length, (sent.length >> 1) + 2);
});

Deno.test("congestion: off, losses leave the window as it is", () => {
  const stage = new KcpStage({ mtu: 124 });
  stage.send("x".repeat(1000));
  assert.equal(stage.pushed().length, 10);
  stage.pass(200).flush();
  stage.send("x".repeat(1000));
  assert.equal(stage.pushed().length, 10);
});
