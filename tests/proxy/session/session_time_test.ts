import assert from "node:assert/strict";
import { LINGER } from "../../../lib/link/link.ts";
import { stillTime } from "../../helpers/clock.ts";
import { bytes, SessionStage } from "../../helpers/session_stage.ts";

const REUSE = { reuseTime: 1000 };

Deno.test("reuse_time ends a session that stays lost, and not one that was resumed", async () => {
  using time = stillTime();
  const stage = await SessionStage.relaying(REUSE);
  stage.flow.end();
  time.pass(999);
  const next = await stage.resume();
  time.pass(5000);
  assert.deepEqual(stage.ends, [], "the time of the first loss went on");
  next.end();
  time.pass(999);
  assert.deepEqual(stage.ends, []);
  time.pass(1);
  assert.deepEqual(stage.ends, ["reuse_timeout"]);
});

Deno.test("reuse_time ends a session whose client went before there was a backend", async () => {
  using time = stillTime();
  const stage = SessionStage.run(REUSE);
  stage.flow.break();
  stage.session.look(0);
  assert.equal(stage.log.of("session lost").length, 1);
  time.pass(1000);
  assert.deepEqual([stage.ends, stage.asked!.signal.aborted], [["reuse_timeout"], true]);
  await stage.connect(new Error("given up"));
  assert.deepEqual(stage.ends, ["reuse_timeout", "closed"]);
});

Deno.test("after the backend's end a client that stays has reuse_time to close", async () => {
  using time = stillTime();
  const { backend, flow, ends, log } = await SessionStage.relaying(REUSE);
  backend.end();
  time.pass(999);
  assert.deepEqual([ends, flow.isClosed], [[], false]);
  time.pass(1);
  assert.deepEqual([ends, flow.isClosed], [["upstream_closed", "released", "closed"], true]);
  assert.equal(log.of("session ended")[0]!.reason, "upstream closed");
});

Deno.test("after the backend's end a client that is lost has reuse_time from its loss", async () => {
  using time = stillTime();
  const { backend, flow, ends } = await SessionStage.relaying(REUSE);
  backend.end();
  time.pass(500);
  flow.end();
  time.pass(999);
  assert.deepEqual(ends, [], "the time from the backend's end went on");
  time.pass(1);
  assert.equal(ends[0], "upstream_closed");
});

Deno.test("the backend ends while the client is away: reuse_time counts from the client's loss", async () => {
  using time = stillTime();
  const { backend, flow, ends } = await SessionStage.relaying(REUSE);
  flow.end();
  time.pass(500);
  backend.end();
  time.pass(499);
  assert.deepEqual(ends, []);
  time.pass(1);
  assert.equal(ends.length, 3);
});

Deno.test("after the backend's end a client that resumes has reuse_time again, to take what it lacks and close", async () => {
  using time = stillTime();
  const stage = await SessionStage.relaying(REUSE);
  stage.backend.bring(bytes("hello"));
  stage.flow.end();
  time.pass(500);
  stage.backend.end();
  time.pass(300);
  const next = await stage.resume();
  assert.equal(next.text, "resumed at 0 hello");
  time.pass(999);
  assert.deepEqual([stage.ends, next.isClosed], [[], false]);
  time.pass(1);
  assert.deepEqual([stage.ends[0], next.isClosed], ["upstream_closed", true]);
});

Deno.test("the backend ends while a client does not take what it lacks: that has reuse_time", async () => {
  using time = stillTime();
  const stage = await SessionStage.relaying(REUSE);
  stage.backend.bring(bytes("hello"));
  stage.flow.end();
  const next = await stage.resume({ room: 15 });
  stage.backend.end();
  time.pass(999);
  assert.deepEqual([stage.ends, next.isWriteClosed], [[], false]);
  time.pass(1);
  assert.deepEqual([stage.ends[0], next.isClosed, next.text], ["upstream_closed", true, "resumed at 0 he"]);
});

Deno.test("when reuse_time is over the backend gets the end at once, and is closed when it lingers too long", async () => {
  using time = stillTime();
  const { backend, flow, ends } = await SessionStage.relaying(REUSE);
  flow.end();
  assert.equal(backend.isWriteClosed, false);
  time.pass(1000);
  assert.deepEqual([ends, backend.isWriteClosed], [["reuse_timeout"], true]);
  time.pass(LINGER - 1);
  assert.equal(backend.isClosed, false, "it may still be sending");
  time.pass(1);
  assert.deepEqual([ends, backend.isClosed], [["reuse_timeout", "released", "closed"], true]);
});

Deno.test("look() takes a client away that was silent for read_timeout, and not one that was heard", async () => {
  using time = stillTime();
  const { flow, session, lastReason: _, ...stage } = await SessionStage.relaying();
  const state = () => session.describe().state;
  time.pass(900);
  session.look(1000);
  flow.bring(bytes("x"));
  time.pass(600);
  session.look(1000);
  assert.equal(state(), "attached", "it was heard of since the last look");
  time.pass(999);
  session.look(1000);
  assert.equal(state(), "attached");
  time.pass(1);
  session.look(0);
  assert.equal(state(), "attached", "0 is no limit");
  session.look(1000);
  assert.equal(state(), "detached");
  assert.match(String(stage.log.of("session lost")[0]!.reason), /read_timeout/);
});

Deno.test("look() does not count the time that a client was away as its silence", async () => {
  using time = stillTime();
  const stage = await SessionStage.relaying();
  stage.flow.end();
  time.pass(5000);
  const next = await stage.resume();
  stage.session.look(1000);
  assert.deepEqual([stage.state, next.isClosed], ["attached", false]);
});

Deno.test("look() leaves a client alone that has no backend yet, and one whose bytes wait for the backend", async () => {
  using time = stillTime();
  const early = SessionStage.run();
  time.pass(5000);
  early.session.look(1000);
  assert.equal(early.flow.isClosed, false, "there is no backend yet");
  const { flow, session, backend } = await SessionStage.relaying({ backendRoom: 0 });
  flow.bring(bytes("x"));
  session.look(1000);
  time.pass(5000);
  session.look(1000);
  assert.equal(session.describe().state, "attached", "its bytes wait for the backend");
  backend.take();
  time.pass(1000);
  session.look(1000);
  assert.equal(session.describe().state, "detached");
});

Deno.test("look() takes a silent client away whose bytes waited for a backend that has ended", async () => {
  using time = stillTime();
  const { flow, session, backend } = await SessionStage.relaying({ backendRoom: 0 });
  flow.bring(bytes("x"));
  backend.end();
  assert.equal(flow.isPaused, false, "its loss would not be heard");
  session.look(1000);
  time.pass(1000);
  session.look(1000);
  assert.equal(session.describe().state, "detached");
});
