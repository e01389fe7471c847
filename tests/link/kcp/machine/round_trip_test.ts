import assert from "node:assert/strict";
import { KcpStage } from "../../../helpers/kcp_stage.ts";

/** A stage of which the peer has acknowledged segments after so many milliseconds each. */
function measured(options: ConstructorParameters<typeof KcpStage>[0], ...times: number[]): KcpStage {
  const stage = new KcpStage(options);
  for (const [sn, time] of times.entries()) {
    stage.sendEach("x");
    const ts = stage.now;
    stage.pass(time).input({ command: "ack", sn, ts, una: sn + 1 });
  }
  return stage;
}

/** After how long a segment that is sent now is sent again. */
function timeoutOf(stage: KcpStage): number {
  stage.sendEach("x");
  return stage.kcp.due - stage.now;
}

Deno.test("RTO: 200 ms at first", () => {
  assert.equal(timeoutOf(new KcpStage()), 200);
});

Deno.test("RTO: the smoothed time of a round trip and four times how much it varies", () => {
  assert.equal(timeoutOf(measured({}, 100)), 100 + 4 * 50);
  assert.equal(timeoutOf(measured({}, 100, 100)), 100 + 4 * 37);
  assert.equal(measured({}, 100, 180).kcp.roundTrip, 110);
  assert.equal(timeoutOf(measured({}, 100, 180)), 110 + 4 * 57);
});

Deno.test("RTO: no less than the interval is added", () => {
  const steady = Array(60).fill(50);
  assert.equal(timeoutOf(measured({}, ...steady)), 50 + 10);
  assert.equal(timeoutOf(measured({ interval: 25 }, ...steady)), 50 + 25);
});

Deno.test("RTO: within 30 ms and 60 s, and at least 100 ms without nodelay", () => {
  assert.equal(timeoutOf(measured({}, 1)), 30);
  assert.equal(timeoutOf(measured({ nodelay: false }, 1)), 100);
  assert.equal(timeoutOf(measured({}, 30_000)), 60_000);
});

Deno.test("RTO: a time far below the expected range weighs an eighth", () => {
  assert.equal(timeoutOf(measured({}, 100, 100, 20)), 90 + 4 * 38);
});

Deno.test("RTO: only the last ACK of a datagram is measured", () => {
  const stage = new KcpStage();
  stage.sendEach("a");
  stage.pass(20).sendEach("b");
  stage.pass(30).input({ command: "ack", sn: 0, ts: 0, una: 0 }, { command: "ack", sn: 1, ts: 20, una: 2 });
  assert.equal(stage.kcp.roundTrip, 30);
});

Deno.test("RTO: a datagram that was rebuilt is not measured", () => {
  const stage = new KcpStage();
  stage.sendEach("a");
  stage.pass(50).input({ command: "ack", sn: 0, ts: 0, una: 1 }, { command: "tell" });
  const other = new KcpStage();
  other.sendEach("a");
  other.pass(50).rebuilt({ command: "ack", sn: 0, ts: 0, una: 1 });
  assert.deepEqual([stage.kcp.roundTrip, other.kcp.roundTrip], [50, 0]);
  assert.equal(other.kcp.unacknowledged, 0);
});

Deno.test("RTO: an ACK of a time that is to come is not measured, and one of long ago counts as a minute", () => {
  const stage = new KcpStage();
  stage.sendEach("a", "b");
  stage.pass(50).input({ command: "ack", sn: 0, ts: 51, una: 1 });
  assert.equal(stage.kcp.roundTrip, 0);
  stage.input({ command: "ack", sn: 1, ts: 2 ** 31 + 100, una: 2 });
  assert.equal(stage.kcp.roundTrip, 60_000);
});
