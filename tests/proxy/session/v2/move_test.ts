import assert from "node:assert/strict";
import { AckedStage } from "../../../helpers/acked_stage.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { bytes, soon } from "../../../helpers/session_stage.ts";

const text = (got: Uint8Array) => new TextDecoder().decode(got);

Deno.test("what is left of the time of a client that is away, and of a direction that goes on alone, goes along", async () => {
  using time = stillTime();
  for (const how of ["away", "half-open"]) {
    const stage = await AckedStage.relaying({ reuseTime: 1000, halfOpenTimeout: 1000 });
    if (how === "away") stage.flow.end();
    else stage.backend.end();
    time.pass(400);
    stage.move();
    time.pass(300);
    stage.move();
    time.pass(299);
    assert.deepEqual(stage.ends, []);
    time.pass(1);
    assert.deepEqual(stage.ends[0], how === "away" ? "reuse_timeout" : "limit");
    stage.session.abort("admin");
  }
});

Deno.test("a PING that is unanswered stays so: the link is lost when it would have been", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ pingInterval: 5000, pingTimeout: 3000 });
  const look = () => {
    time.pass(1000);
    stage.session.look(0);
    stage.move();
  };
  for (let i = 0; i < 7; i++) look();
  assert.equal(stage.flow.isClosed, false);
  stage.read();
  for (let i = 0; i < 3 && !stage.flow.isClosed; i++) {
    time.pass(1000);
    stage.session.look(0);
  }
  assert.equal(stage.flow.isClosed, true);
  assert.equal(stage.session.state, "detached");
});

Deno.test("a session that has no backend yet dials anew elsewhere, with what came meanwhile", async () => {
  using _time = stillTime();
  const stage = AckedStage.run({ dialect: "goscon" });
  await stage.send("abc");
  const { signal } = stage;
  stage.move();
  assert.deepEqual([signal!.aborted, stage.signal!.aborted, stage.session.state], [true, false, "connecting"]);
  await stage.send("def");
  await stage.connect();
  assert.equal(stage.backend.text, "abcdef");
  assert.equal(stage.session.describe().upstream, "backend");
});

Deno.test("each direction that has ended stays so, and the session ends when both have", async () => {
  using _time = stillTime();
  for (const first of ["client", "backend"]) {
    const stage = await AckedStage.relaying();
    const client = async () => {
      await stage.finish();
      stage.move();
      assert.equal(stage.backendSaw, "end");
    };
    const backend = () => {
      stage.backend.end();
      stage.move();
    };
    if (first === "client") await client();
    backend();
    if (first === "backend") await client();
    assert.deepEqual(stage.ends, []);
    await stage.acknowledge();
    assert.deepEqual(stage.ends[0], "upstream_closed");
    assert.equal(stage.hasEnded, true);
    stage.session.abort("admin");
  }
});

Deno.test("a backend that has broken off is not fed any more, and its client gets what it sent before", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ clientWindow: 4 });
  stage.appetite = 0;
  stage.backend.bring(bytes("abc"));
  stage.read();
  stage.backend.lose();
  stage.move();
  await stage.send("lost");
  assert.deepEqual(stage.ends, []);
  stage.feed(100);
  await stage.acknowledge();
  assert.deepEqual([text(stage.got), stage.ends[0], stage.code], ["abc", "upstream_failed", 2]);
});

Deno.test("what a write has found out of a backend, before it was told, is known elsewhere too", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying();
  stage.backend.break();
  await stage.send("lost");
  stage.move();
  await stage.send("lost, too");
  assert.deepEqual([stage.backend.text, stage.ends], ["", []]);
  stage.session.look(0);
  stage.read();
  assert(stage.client.acked < stage.client.sent, "the client is told that its last byte was taken");
  stage.backend.lose();
  time.pass(1000);
  stage.session.look(0);
  assert.equal(stage.ends[0], "upstream_failed");
});

Deno.test("a session that has ended, or whose backend cannot go along, stays where it is", async () => {
  using _time = stillTime();
  const ended = await AckedStage.relaying();
  ended.session.abort("admin");
  assert.equal(ended.move(), false);
  const stopped = await AckedStage.relaying();
  stopped.session.stop();
  assert.equal(stopped.move(), false);
  const fixed = await AckedStage.relaying();
  fixed.backend.isCarriedOn = true;
  assert.equal(fixed.move(), false);
  await fixed.send("C");
  assert.deepEqual([fixed.backend.text, fixed.ends], ["C", []]);
  fixed.backend.bring(bytes("B"));
  fixed.backend.lose();
  assert.equal(fixed.move(), true, "there is nothing that would have to go along");
  await soon();
});

Deno.test("what a backend was not sent goes before all else, also when there is room and nobody has said so", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ backendRoom: 2 });
  await stage.send("abcd");
  stage.move({ backend: 1 });
  assert.equal(stage.backend.text, "a");
  stage.backend.room = 10;
  await stage.send("ef");
  assert.equal(stage.backend.text, "a");
  stage.backend.take();
  assert.equal(stage.backend.text, "abcdef");
});

Deno.test("a session that ends in order closes its backend when that has what it was not sent before a move", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ backendRoom: 3 });
  await stage.send("abc");
  await stage.finish();
  stage.backend.end();
  assert.equal(stage.backendSaw, "end");
  stage.move({ backend: 2 });
  assert.deepEqual([stage.backend.text, stage.backendSaw], ["a", "open"]);
  await stage.acknowledge();
  assert.deepEqual([stage.ends, stage.backendSaw], [["upstream_closed"], "open"]);
  stage.flow.end();
  stage.backend.take();
  assert.deepEqual([stage.backend.text, stage.backendSaw], ["abc", "end, closed"]);
});

Deno.test("a backend that has ended its direction is looked after elsewhere too: it may break", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ clientWindow: 4 });
  stage.backend.bring(bytes("abc"));
  stage.backend.end();
  stage.move();
  stage.backend.break();
  stage.session.look(0);
  await soon();
  await stage.acknowledge();
  assert.equal(stage.ends[0], "upstream_failed");
});

Deno.test("a client whose answer was not sent, and is not to be, has no session; unless it has shown that it knows it", async () => {
  using _time = stillTime();
  for (const isKnown of [false, true]) {
    const stage = await AckedStage.relaying();
    if (isKnown) stage.resume();
    stage.flow.room = 0;
    stage.move({ client: Infinity });
    assert.equal(stage.flow.written.length, 0);
    stage.flow.lose();
    assert.deepEqual(stage.ends.slice(0, 1), isKnown ? [] : ["unanswered"]);
    stage.session.abort("admin");
  }
});

Deno.test("a client whose connection another thread carries is told to come over another one", async () => {
  using _time = stillTime();
  for (const isCarriedOn of [false, true]) {
    const stage = await AckedStage.relaying();
    stage.flow.isCarriedOn = isCarriedOn;
    stage.session.leave();
    stage.read();
    assert.deepEqual(stage.client.takeMove(), isCarriedOn ? "" : undefined);
  }
});
