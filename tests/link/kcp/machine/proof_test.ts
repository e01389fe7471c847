import assert from "node:assert/strict";
import { KcpStage } from "../../../helpers/kcp_stage.ts";

/** A stage that has sent at ts 1000 and again at 1200. */
function twiceSent(): KcpStage {
  const stage = new KcpStage({}, { epoch: 1000 });
  stage.sendEach("answer");
  stage.pass(200).flush();
  return stage;
}

Deno.test("a peer that gives a ts back is proven, be it that of the first time or of the second", () => {
  for (const ts of [1000, 1200]) {
    const stage = twiceSent();
    assert.equal(stage.kcp.isProven, false);
    stage.input({ command: "ack", sn: 0, ts, una: 1 });
    assert.equal(stage.kcp.isProven, true);
  }
});

Deno.test("a una alone proves nothing, nor an ACK of a ts that was not sent, nor a PUSH of one that was", () => {
  const stage = twiceSent();
  stage.input({ command: "ack", sn: 0, ts: 1100, una: 1 }, { command: "tell", una: 1 }, { command: "push", ts: 1000 });
  assert.deepEqual([stage.kcp.isProven, stage.kcp.unacknowledged], [false, 0]);
});

Deno.test("who must prove where it is gets the answer until it does, though a una says that it has it", () => {
  const stage = new KcpStage({}, { epoch: 1000, mustProve: true });
  stage.sendEach("answer");
  stage.input({ command: "push", una: 1, data: "more" }); // the ACK before it was lost
  stage.pass(300);
  assert.deepEqual(stage.pushed(), [0]);
  stage.input({ command: "ack", sn: 0, ts: 1300, una: 1 });
  assert.deepEqual([stage.kcp.isProven, stage.kcp.unacknowledged], [true, 0]);
  stage.sendEach("stream");
  stage.input({ command: "tell", una: 2 });
  assert.equal(stage.kcp.unacknowledged, 0);
});

Deno.test("a ts that goes with nothing but an ACK proves nothing when it comes back", () => {
  const stage = new KcpStage();
  stage.input({ command: "push", ts: 77 });
  stage.flush();
  stage.input({ command: "ack", ts: 77 });
  assert.equal(stage.kcp.isProven, false);
});

Deno.test("a peer that got only what was sent again of many segments is proven", () => {
  const stage = new KcpStage({ mtu: 25 });
  stage.input({ command: "tell" });
  stage.send("x".repeat(60));
  stage.flush();
  stage.pass(200).flush();
  stage.input({ command: "ack", sn: 59, ts: 200 });
  assert.equal(stage.kcp.isProven, true);
});
