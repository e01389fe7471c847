import assert from "node:assert/strict";
import { stillTime } from "../../helpers/clock.ts";
import { bytes, SessionStage } from "../../helpers/session_stage.ts";

/** Bytes of the client's stream, ciphered. */
function sealed(stage: SessionStage, text: string) {
  const stream = bytes(text);
  stage.client.seal(stream);
  return stream;
}

/** What a connection of the client was sent after the answer, deciphered. */
function opened(stage: SessionStage, text: string, written: Uint8Array): string {
  const stream = written.slice(text.length);
  stage.client.open(stream);
  return new TextDecoder().decode(stream);
}

Deno.test("a session goes on elsewhere while its client is away, with what both ends have not got yet", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying({ dialect: "goscon", backendRoom: 2 });
  stage.flow.bring(sealed(stage, "abcdef"));
  assert.equal(stage.backend.text, "ab");
  stage.flow.break();
  stage.session.look(0);
  stage.backend.bring(bytes("first "));
  assert.equal(stage.move(), true);
  assert.equal(stage.state, "detached");
  stage.backend.take();
  assert.equal(stage.backend.text, "abcdef");
  const flow = await stage.resume();
  stage.backend.bring(bytes("second"));
  assert.equal(opened(stage, "resumed at 6 ", flow.written), "first second");
  flow.bring(sealed(stage, "ghi"));
  assert.equal(stage.backend.text, "abcdefghi");
  const { resumes, received } = stage.session.describe();
  assert.deepEqual([resumes, received], [1, 9]);
  stage.session.abort("admin");
  assert.deepEqual(stage.ends, ["admin", "released", "closed"]);
});

Deno.test("a session whose backend has ended goes on elsewhere, until the client has the rest and the end", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying({ dialect: "goscon" });
  stage.backend.bring(bytes("the rest"));
  stage.backend.end();
  stage.flow.end();
  stage.move();
  assert.equal(stage.state, "detached");
  const flow = await stage.resume();
  assert.equal(opened(stage, "resumed at 0 ", flow.written), "the rest");
  assert.equal(flow.isWriteClosed, true);
  flow.end();
  stage.session.abort("admin");
  assert.deepEqual(stage.ends, ["admin", "closed"]);
});

Deno.test("what is left of the time of a session goes along", async () => {
  using time = stillTime();
  for (const how of ["client is away", "backend has ended"]) {
    const stage = await SessionStage.relaying({ reuseTime: 1000 });
    if (how === "client is away") stage.flow.end();
    else stage.backend.end();
    time.pass(400);
    stage.move();
    time.pass(300);
    stage.move();
    time.pass(299);
    assert.deepEqual(stage.ends, []);
    time.pass(1);
    assert.deepEqual(stage.ends[0], how === "client is away" ? "reuse_timeout" : "upstream_closed");
  }
});

Deno.test("a session that has no backend yet dials anew elsewhere, and what was dialled before is closed", async () => {
  using _ = stillTime();
  const stage = SessionStage.run({ rest: bytes("first") });
  const { asked } = stage;
  stage.move();
  assert.equal(asked!.signal.aborted, true);
  const { signal: _old, ...before } = asked!;
  const { signal, ...again } = stage.asked!;
  assert.deepEqual([again, signal.aborted], [before, false]);
  await stage.connect();
  stage.flow.bring(bytes(" second"));
  assert.equal(stage.backend.text, "first second");
});

Deno.test("a session that has ended, or is to, stays where it is", async () => {
  using _ = stillTime();
  const ended = await SessionStage.relaying();
  ended.session.abort("admin");
  assert.equal(ended.move(), false);
  const stopped = await SessionStage.relaying();
  stopped.session.stop();
  assert.equal(stopped.move(), false);
  const fixed = await SessionStage.relaying();
  fixed.backend.isCarriedOn = true;
  assert.equal(fixed.move(), false);
  fixed.flow.bring(bytes("C"));
  assert.deepEqual([fixed.backend.text, fixed.ends], ["C", []]);
});

Deno.test("a client that has not got the answer and cannot go along has no session", () => {
  using _ = stillTime();
  const stage = SessionStage.run({ clientRoom: 3 });
  stage.flow.isCarriedOn = true;
  assert.equal(stage.move(), false);
  assert.deepEqual([stage.ends[0], stage.flow.isClosed], ["unanswered", true]);
});

Deno.test("the end that a client was told of after its last bytes comes after them again, when these were not sent", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying({ clientRoom: 10 });
  stage.backend.bring(bytes("abc"));
  stage.backend.end();
  assert.deepEqual([stage.flow.text, stage.flow.isWriteClosed], ["answer abc", true]);
  stage.move({ client: 2 });
  assert.deepEqual([stage.flow.text, stage.flow.isWriteClosed], ["answer a", false]);
  stage.flow.take(2);
  assert.deepEqual([stage.flow.text, stage.flow.isWriteClosed], ["answer abc", true]);
});

Deno.test("a client that has got the answer has its session, also when what came after that was not sent and its connection breaks", async () => {
  using _ = stillTime();
  for (const unsent of [3, 4]) {
    const stage = await SessionStage.relaying({ clientRoom: 10 });
    stage.backend.bring(bytes("abc"));
    stage.move({ client: unsent });
    stage.flow.lose();
    assert.deepEqual(stage.ends.slice(0, 1), unsent > 3 ? ["unanswered"] : []); // the fourth was of the answer
    stage.session.abort("admin");
  }
});
