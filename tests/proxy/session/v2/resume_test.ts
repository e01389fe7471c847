import assert from "node:assert/strict";
import { AckedStage } from "../../../helpers/acked_stage.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { pattern } from "../../../helpers/random.ts";
import { bytes } from "../../../helpers/session_stage.ts";

const FAREWELL = 1000;
const LARGE = { cacheSize: 2 ** 20, window: 2 ** 20, clientWindow: 2 ** 20 };
const text = (got: Uint8Array) => new TextDecoder().decode(got);

Deno.test("a resume closes the old link without a word, and hears nothing of it any more", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying();
  stage.backend.bring(bytes("abc"));
  const old = stage.flow;
  const before = old.written.length;
  stage.resume();
  assert.deepEqual([old.isClosed, old.isReset, old.written.length], [true, false, before]);
  stage.read();
  assert.equal(text(stage.got), "abc");
  assert.deepEqual(stage.log.events.map(({ event }) => event), ["session new", "session lost", "session resumed"]);
});

Deno.test("an answer that is lost: the next attempt says the same RECEIVED under a higher index, and lacks nothing", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying();
  stage.backend.bring(bytes("abc"));
  for (let i = 0; i < 3; i++) {
    stage.resume();
    stage.flow.end();
  }
  stage.backend.bring(bytes("def"));
  stage.resume();
  stage.read();
  assert.equal(text(stage.got), "abcdef");
});

Deno.test("a session whose first answer was not taken lives, when its client has resumed meanwhile", async () => {
  using _time = stillTime();
  const stage = AckedStage.run({ clientRoom: 3 });
  await stage.connect();
  stage.resume();
  stage.flow.lose();
  assert.deepEqual(stage.ends, []);
});

Deno.test("a resume while the backend is dialled, and what came before there was one", async () => {
  using _time = stillTime();
  const stage = AckedStage.run();
  await stage.send("abc");
  assert.equal(stage.client.acked, 0);
  stage.resume();
  await stage.send("def");
  assert.equal(stage.session.state, "connecting");
  await stage.connect();
  assert.equal(stage.backend.text, "abcdef");
  await stage.finish();
  assert.equal(stage.backendSaw, "end");
});

Deno.test("RECEIVED opens no window: what is received and not acknowledged still counts", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ clientWindow: 10 });
  stage.appetite = 0;
  stage.backend.bring(bytes("0123456789abc"));
  stage.read();
  assert.equal(stage.client.received, 10);
  stage.resume();
  assert.equal(stage.backend.isPaused, true);
  stage.read();
  assert.equal(stage.client.received, 10);
  stage.feed(100);
  await stage.acknowledge();
  stage.read();
  assert.equal(text(stage.got), "0123456789abc");
});

Deno.test("a stale request for a client that is away does not give it more time", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ reuseTime: 10_000 });
  stage.backend.bring(bytes("abc"));
  await stage.acknowledge();
  stage.flow.end();
  time.pass(6000);
  assert.throws(() => stage.resume({ received: 2 }), { code: 403 });
  time.pass(4000);
  assert.equal(stage.ends[0], "reuse_timeout");
});

Deno.test("each loss has reuse_time anew, and a resume ends it", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ reuseTime: 10_000 });
  for (let i = 0; i < 3; i++) {
    stage.flow.end();
    time.pass(9999);
    stage.resume();
    time.pass(60_000);
  }
  assert.deepEqual(stage.ends, []);
});

Deno.test("a CLOSE stands between frames: what of one was written goes on to its end, and no other follows", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ ...LARGE, clientRoom: 6 + 100 });
  stage.backend.bring(pattern(0, 40_000));
  assert.equal(stage.flow.written.length, 106);
  stage.session.abort("admin");
  assert.equal(stage.flow.isWriteClosed, false);
  stage.flow.take(1000);
  assert.equal(stage.flow.isWriteClosed, false);
  stage.flow.take();
  // The answer, one DATA, the CLOSE.
  const close = stage.flow.written.subarray(6 + 3 + 16_384);
  assert.deepEqual([...close.subarray(0, 3), stage.flow.isWriteClosed], [6, 0, 3, true]);
  assert.equal(close.length, 4 + close[3]!);
  stage.flow.end();
  assert.deepEqual(stage.ends, ["admin", "released", "closed"]);
  time.pass(FAREWELL);
});

Deno.test("a frame that is stuck half-written: the link is dropped after a second, and 410 will tell", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ ...LARGE, clientRoom: 6 + 100 });
  stage.backend.bring(pattern(0, 40_000));
  stage.session.abort("admin");
  time.pass(FAREWELL - 1);
  assert.equal(stage.flow.isClosed, false);
  time.pass(1);
  assert.deepEqual([stage.flow.isClosed, stage.flow.isWriteClosed, stage.code], [true, false, 3]);
  assert.deepEqual(stage.ends, ["admin", "released", "closed"]);
});

Deno.test("after a CLOSE what still comes is read and thrown away, until the client ends, or a second is over", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying();
  stage.session.abort("admin");
  const { written } = stage.flow;
  // Also what would be a violation.
  for (const late of [[1, 0, 1, 65], [3, 0, 0, 0, 1], [9], [6, 0, 7, 0]]) stage.flow.bring(Uint8Array.from(late));
  assert.deepEqual([stage.flow.written.length, stage.backend.text, stage.flow.isHeard], [written.length, "", true]);
  time.pass(FAREWELL - 1);
  assert.equal(stage.flow.isClosed, false);
  time.pass(1);
  assert.deepEqual([stage.flow.isClosed, stage.ends.at(-1)], [true, "closed"]);
});

Deno.test("a CLOSE over a link that breaks in the write: the session is closed, and 410 will tell", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying();
  stage.flow.break();
  stage.session.abort("admin");
  assert.deepEqual([stage.flow.isClosed, stage.code, stage.ends], [true, 3, ["admin", "released", "closed"]]);
  time.pass(FAREWELL);
});

Deno.test("MOVE goes before the next DATA and uses nothing of the stream; without a client it is not said", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying();
  assert.equal(stage.session.move("ws://a.example/scp"), true);
  stage.backend.bring(bytes("abc"));
  stage.read();
  assert.deepEqual([stage.client.takeMove(), text(stage.got)], ["ws://a.example/scp", "abc"]);
  stage.flow.end();
  assert.equal(stage.session.move(""), false);
});

Deno.test("each violation of the protocol: CLOSE 4 says which it is, and so does the log", async () => {
  for (
    const [frames, reason] of [
      [[5, 1, 0, 1, 65], "a DATA after the FIN"],
      [[5, 5], "a FIN after the FIN"],
      [[9], "a frame of type 9, which is none"],
      [[127], "a frame of type 127, which is none"],
      [[1, 0, 0], "a DATA of no bytes"],
      [[1, 4, 1], "1025 bytes, where the window has room for 1024"],
      [[2, 0, 0, 0, 1], "an ACK of 1, which was never sent"],
      [[7, 0], "a MOVE, which only a server sends"],
    ] as const
  ) {
    using time = stillTime();
    const stage = await AckedStage.relaying();
    stage.flow.bring(Uint8Array.from(frames));
    assert.equal(stage.code, 4);
    const { reason: logged, client } = stage.log.of("session ended")[0]!;
    assert.equal(logged, `the client broke the protocol: ${reason}`);
    assert.equal(client, "192.0.2.1:5");
    stage.read();
    assert.deepEqual(stage.client.closed, { code: 4, reason });
    time.pass(60_000);
    assert.equal(stage.ends.at(-1), "closed");
  }
});

Deno.test("a FIN beyond the window is a violation: at its limit a client has no room for it", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ window: 4, backendRoom: 0 });
  stage.flow.bring(Uint8Array.of(1, 0, 4, 65, 66, 67, 68, 5));
  assert.equal(stage.code, 4);
  time.pass(60_000);
});
