import assert from "node:assert/strict";
import { AckedStage } from "../../../helpers/acked_stage.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { bytes } from "../../../helpers/session_stage.ts";

const REUSE = 60_000;

/** So many bytes. */
const some = (count: number) => new Uint8Array(count).fill(0x63);

Deno.test("CLOSE 2 waits until the client has acknowledged all that was read of the backend", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying();
  stage.backend.bring(bytes("abc"));
  stage.backend.lose();
  assert.deepEqual([stage.ends, stage.backendSaw], [[], "reset"]);
  stage.read();
  assert.deepEqual([stage.closed, new TextDecoder().decode(stage.got)], [undefined, "abc"]);
  await stage.acknowledge();
  stage.read();
  assert.deepEqual([stage.closed, stage.code, stage.ends[0]], [2, 2, "upstream_failed"]);
  assert.match(String(stage.log.of("session ended")[0]!.reason), /upstream failed: reset/);
  time.pass(1000);
  assert.deepEqual(stage.ends.slice(1), ["released", "closed"]);
});

Deno.test("CLOSE 2 of a backend that broke off with nothing on its way is said at once", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ halfOpenTimeout: 5000 });
  stage.backend.lose();
  stage.read();
  assert.equal(stage.closed, 2);
  time.pass(10_000);
  assert.deepEqual(stage.ends, ["upstream_failed", "released", "closed"]);
});

Deno.test("CLOSE 2 waits over resumes, for what was held up too, and for a FIN that the backend had sent", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ clientWindow: 4 });
  stage.backend.bring(bytes("abcdefgh"));
  stage.flow.end();
  stage.resume();
  await stage.acknowledge();
  await stage.acknowledge();
  assert.equal(stage.backend.isHeard, true, "it is held up, though nothing is");
  stage.backend.bring(bytes("ijk"));
  stage.backend.end();
  // It has ended its direction, and then it breaks: only a write tells.
  stage.backend.break();
  stage.session.look(0);
  await stage.arrive();
  assert.deepEqual([stage.ends, stage.backend.isClosed], [[], true]);
  stage.flow.end();
  stage.resume();
  stage.appetite = 2;
  await stage.acknowledge();
  assert.deepEqual(stage.ends, []);
  stage.feed(100);
  await stage.acknowledge();
  assert.deepEqual([stage.hasEnded, stage.code, new TextDecoder().decode(stage.got)], [true, 2, "abcdefghijk"]);
});

Deno.test("what a client sends to a backend that broke off is acknowledged, but never to the last position", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ window: 64 });
  await stage.send("abc");
  stage.backend.bring(bytes("unread"));
  stage.backend.lose();
  const { client } = stage;
  for (let round = 0; round < 50; round++) {
    await stage.send(some(Math.min(40, client.room)));
    assert(client.sent > 3 * round, "the window does not open");
    read(stage);
    assert(client.acked < client.sent, "the client finds all that it sent acknowledged");
  }
  assert(client.sent > 1000, "what it sends is held up");
  await stage.finish();
  read(stage);
  assert(client.acked < client.sent - 1);
  assert.equal(stage.backend.text, "abc");
});

/** Reads what the proxy says, and takes nothing of the stream: so the end does not come. */
function read(stage: AckedStage): void {
  stage.appetite = 0;
  stage.read();
}

Deno.test("a backend that only a write finds broken, as nothing is read of it: what the client sends is not taken for arrived", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ clientWindow: 4 });
  stage.backend.bring(bytes("abcd"));
  assert.equal(stage.backend.isPaused, true);
  stage.backend.break();
  await stage.send("xyz");
  stage.session.look(0);
  read(stage);
  stage.client.sayPing();
  await stage.arrive();
  read(stage);
  assert.equal(stage.client.acked, 2);
  await stage.finish();
  stage.session.look(0);
  read(stage);
  assert.deepEqual([stage.client.acked, stage.client.isSentDone], [2, false]);
  // It is read on when the client has taken what there was; then its loss is told.
  stage.feed(100);
  await stage.acknowledge();
  assert.equal(stage.backend.isHeard, true);
  stage.backend.lose();
  assert.equal(stage.code, 2);
  assert.deepEqual([stage.backendSaw, stage.client.acked], ["reset", 2]);
});

Deno.test("a FIN for a backend that is broken is not consumed", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying();
  stage.backend.bring(bytes("unread"));
  stage.backend.break();
  await stage.finish();
  read(stage);
  assert.equal(stage.client.isSentDone, false);
  assert.equal(stage.backend.isWriteClosed, false);
});

Deno.test("a backend breaks off while the client is away: reuse_time counts from the client's loss, and the end is 2", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ reuseTime: REUSE });
  stage.backend.bring(bytes("abc"));
  stage.flow.end();
  time.pass(1000);
  stage.backend.lose();
  time.pass(REUSE - 1001);
  assert.deepEqual(stage.ends, []);
  time.pass(1);
  assert.deepEqual([stage.ends, stage.code], [["upstream_failed", "released", "closed"], 2]);
});

Deno.test("a backend that broke off is left alone by looks", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying();
  stage.backend.bring(bytes("abc"));
  stage.backend.end();
  stage.backend.break();
  stage.session.look(1000);
  await stage.arrive();
  assert.equal(stage.backend.isClosed, true);
  stage.session.look(1000);
  stage.session.look(1000);
  assert.deepEqual([stage.ends, stage.log.of("upstream closed").length], [[], 2]);
});

Deno.test("a backend that hangs is reset, as it may come back; one that has had the client's FIN is closed", async () => {
  for (const hasFin of [false, true]) {
    using time = stillTime();
    const stage = await AckedStage.relaying();
    stage.backend.bring(bytes("abc"));
    await stage.send("x");
    if (hasFin) await stage.finish();
    stage.backend.unacknowledged = () => 1;
    stage.backend.silence = () => 10_000;
    for (let i = 0; i < 3; i++) {
      stage.session.look(1000);
      time.pass(1000);
    }
    assert.equal(stage.backendSaw, hasFin ? "end, closed" : "reset");
    assert.equal(stage.log.of("upstream closed").length, 1, "it broke off twice");
    await stage.acknowledge();
    assert.deepEqual([stage.code, stage.ends[0]], [2, "upstream_failed"]);
    assert.match(String(stage.log.of("session ended")[0]!.reason), /ack_timeout/);
    stage.flow.end();
    assert.deepEqual(stage.ends.slice(1), ["released", "closed"], "nothing is waited for");
  }
});
