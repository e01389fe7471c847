import assert from "node:assert/strict";
import { CacheBudget } from "../../../lib/proxy/session/cache/cache_budget.ts";
import { ScpError } from "../../../lib/scp/mod.ts";
import { pattern } from "../../helpers/random.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { stillTime } from "../../helpers/clock.ts";
import { bytes, SessionStage, soon } from "../../helpers/session_stage.ts";

const refusedWith = (code: number) => (error: unknown) => error instanceof ScpError && error.code === code;

Deno.test("run() ends a session whose answer could not be sent, and dials no backend", () => {
  using _ = stillTime();
  const stage = SessionStage.run({ error: new Error("reset") });
  assert.deepEqual(stage.ends, ["unanswered", "closed"]);
  assert.equal(stage.lastReason, "the answer could not be sent");
  assert.deepEqual([stage.asked, stage.flow.isClosed], [undefined, true]);
  stage.session.abort("admin");
  assert.equal(stage.ends.length, 2, "it ended twice");
});

Deno.test("a session whose client takes only a part of the answer, and goes, ends: nobody can resume it", () => {
  using _ = stillTime();
  const stage = SessionStage.run({ clientRoom: 3 });
  stage.flow.break();
  stage.session.look(0);
  assert.deepEqual(stage.ends, ["unanswered"]);
  assert.equal(stage.asked!.signal.aborted, true);
});

Deno.test("a backend that is reached after the session has ended is closed, and given back once", async () => {
  using _ = stillTime();
  const stage = SessionStage.run();
  stage.session.stop();
  assert.deepEqual(stage.ends, ["shutdown"]);
  await stage.connect();
  assert.deepEqual([stage.backend.isClosed, stage.ends], [true, ["shutdown", "released", "closed"]]);
});

Deno.test("a session whose backend cannot be reached ends", async () => {
  using _ = stillTime();
  const stage = SessionStage.run();
  await stage.connect(new Error("no upstream could be reached"));
  assert.equal(stage.lastReason, "no upstream could be reached");
  assert.equal(stage.flow.isClosed, true);
  assert.deepEqual(stage.ends, ["no_upstream", "closed"]);
});

Deno.test("abort() gives the dialling up", async () => {
  using _ = stillTime();
  const stage = SessionStage.run();
  assert.equal(stage.asked!.signal.aborted, false);
  stage.session.abort("admin");
  assert.equal(stage.asked!.signal.aborted, true);
  assert.deepEqual(stage.ends, ["admin"]);
  await stage.connect(new Error("given up"));
  assert.deepEqual(stage.ends, ["admin", "closed"]);
});

Deno.test("nothing is heard of the client before there is a backend, but what came with its request goes there first", async () => {
  using _ = stillTime();
  const stage = SessionStage.run({ rest: bytes("early ") });
  await soon();
  assert.equal(stage.flow.isPaused, true);
  await stage.connect();
  await soon();
  stage.flow.bring(bytes("late"));
  assert.equal(stage.backend.text, "early late");
});

Deno.test("a backend that is reached while the client takes nothing is heard as soon as it does, also over a later connection", async () => {
  using _ = stillTime();
  const stage = SessionStage.run();
  const next = await stage.resume({ room: 3 });
  await stage.connect();
  assert.equal(stage.backend.isPaused, true);
  next.take();
  assert.equal(stage.backend.isPaused, false);
});

Deno.test("a backend that fails is told with its reason, and the client gets the end", async () => {
  using _ = stillTime();
  const { backend, flow, lastReason } = await failed();
  assert.equal(lastReason, "upstream failed: connection reset");
  assert.equal(flow.isWriteClosed, true);
  assert.equal(flow.isClosed, false, "the client may still be reading");
  assert.equal(backend.isClosed, true);
});

Deno.test("a session whose backend failed ends with that reason, also when its client goes before", async () => {
  using time = stillTime();
  const stage = await failed({ reuseTime: 20 });
  stage.flow.end();
  time.pass(20);
  assert.equal(stage.lastReason, "upstream failed: connection reset");
  assert.deepEqual(stage.ends, ["upstream_failed", "released", "closed"]);
});

async function failed(options = {}): Promise<SessionStage> {
  const stage = await SessionStage.relaying(options);
  stage.backend.lose(new Error("connection reset"));
  return stage;
}

Deno.test("a backend that takes no more gets no more; what it still sends reaches the client", async () => {
  using _ = stillTime();
  const { backend, flow } = await SessionStage.relaying();
  backend.break(new Error("broken pipe"));
  flow.bring(bytes("one"));
  flow.bring(bytes("two"));
  backend.bring(bytes("last words"));
  assert.deepEqual([backend.text, flow.text], ["", "answer last words"]);
  backend.lose();
  assert.equal(flow.isWriteClosed, true);
});

Deno.test("while a backend takes nothing its client is not heard, and what is held reaches it in order", async () => {
  using _ = stillTime();
  const { backend, flow } = await SessionStage.relaying({ backendRoom: 2 });
  flow.bring(bytes("hello "));
  assert.equal(flow.isPaused, true);
  backend.take(3);
  assert.deepEqual([backend.text, flow.isPaused], ["hello", true]);
  backend.take();
  assert.equal(flow.isPaused, false);
  flow.bring(bytes("world"));
  assert.equal(backend.text, "hello world");
});

Deno.test("while a client takes nothing its backend is not heard, and every byte reaches it in order", async () => {
  using _ = stillTime();
  const { backend, flow } = await SessionStage.relaying({ clientRoom: 9 });
  backend.bring(bytes("hello "));
  assert.equal(backend.isPaused, true);
  flow.take(2);
  assert.deepEqual([flow.text, backend.isPaused], ["answer hell", true]);
  flow.take();
  assert.equal(backend.isPaused, false);
  backend.bring(bytes("world"));
  assert.equal(flow.text, "answer hello world");
});

Deno.test("resume() takes the old connection away at once, and its answer counts all that was heard of it", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  const old = stage.flow;
  old.bring(bytes("late"));
  const next = await stage.resume();
  assert.equal(old.isClosed, true);
  assert.equal(next.text, "resumed at 4 ");
  next.bring(bytes("r"));
  assert.equal(stage.backend.text, "later");
});

Deno.test("resume() with an index that another has used is refused with 403, and with a wrong hmac with 401: nothing changes", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  const [first, second] = [stage.client.nextResume(), stage.client.nextResume()];
  assert.equal(stage.tryResume(second), true);
  const { flow } = stage;
  assert.throws(() => stage.tryResume(first), refusedWith(403));
  assert.throws(() => stage.tryResume({ ...stage.client.nextResume(), hmac: 1n }), refusedWith(401));
  assert.deepEqual([stage.flow, flow.isClosed, stage.stats.reuseFails], [flow, false, 0]);
  flow.bring(bytes("goes on"));
  assert.equal(stage.backend.text, "goes on");
});

Deno.test("resume() of a session that is being stopped is refused with 404, and is its end", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  stage.session.stop();
  assert.throws(() => stage.tryResume(stage.client.nextResume()), refusedWith(404));
  assert.deepEqual([stage.ends, stage.stats.reuseFails], [["shutdown"], 1]);
});

Deno.test("a resume that cannot be had is refused with 406, counted, and the end of the session", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  stage.client.open(new Uint8Array(5)); // more than was ever sent
  assert.throws(() => stage.tryResume(stage.client.nextResume()), refusedWith(406));
  assert.deepEqual([stage.stats.reuseFails, stage.ends, stage.flow.isClosed], [1, ["not_resumable"], true]);
});

Deno.test("a connection that breaks while it is given what was missed is lost like any other, and the next resume gives it", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  stage.backend.bring(bytes("hello"));
  stage.flow.end();
  const second = await stage.resume({ room: 15, error: new Error("broke in the middle") });
  second.lose();
  assert.deepEqual([stage.state, stage.log.of("session lost").length], ["detached", 2]);
  assert.equal((await stage.resume()).text, "resumed at 0 hello");
});

Deno.test("what a backend sends while its client is away is held, one read of it, and reaches the client after what that lacks", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  const { backend } = stage;
  backend.bring(bytes("lacked "));
  stage.flow.end();
  assert.equal(backend.isPaused, false, "its end would not be heard");
  backend.bring(bytes("held "));
  assert.equal(backend.isPaused, true);
  const next = await stage.resume();
  backend.bring(bytes("new"));
  assert.equal(next.text, "resumed at 0 lacked held new");
});

Deno.test("no more is read from the backend at once than can be sent again", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  const { backend, flow } = stage;
  const sent = 3 * backend.most;
  for (let at = 0; at < sent; at += backend.most) backend.bring(pattern(at, backend.most));
  stage.client.open(new Uint8Array(sent));
  flow.break();
  backend.bring(pattern(sent, backend.most));
  flow.lose();
  const next = await stage.resume();
  assertSameBytes(next.written.subarray("resumed at 0 ".length), pattern(sent, backend.most));
});

Deno.test("the backend ends while the client is away and lacks bytes: it resumes, and gets them and the end", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  stage.flow.break();
  stage.backend.bring(bytes("hello"));
  stage.flow.lose();
  stage.backend.end();
  assert.deepEqual(stage.ends, []);
  const next = await stage.resume();
  assert.deepEqual([next.text, next.isWriteClosed], ["resumed at 0 hello", true]);
});

Deno.test("a client that comes after the backend's end and lacks nothing gives the session its end; after a failure with 404", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  stage.backend.end();
  assert.equal(stage.tryResume(stage.client.nextResume()), false);
  assert.deepEqual(stage.ends, ["upstream_closed", "released", "closed"]);
  const other = await failed();
  assert.throws(() => other.tryResume(other.client.nextResume()), refusedWith(404));
  assert.deepEqual([other.ends[0], other.stats.reuseFails], ["upstream_failed", 1]);
});

Deno.test("what a backend sent before it was given up, and could not go yet, goes before the end: to a client that was away, and to one that takes little", async () => {
  using clock = stillTime();
  for (const isBack of [false, true]) {
    const stage = await SessionStage.relaying();
    stage.flow.bring(bytes("for the backend"));
    stage.flow.lose();
    stage.backend.bring(bytes("hello"));
    if (isBack) await stage.resume({ room: 3 });
    Object.assign(stage.backend, { unacknowledged: () => 15, silence: () => 5000 });
    for (let second = 0; second < 2; second++, clock.pass(1000)) stage.session.look(0, 0, 1000);
    assert.equal(stage.backend.isClosed, true);
    const next = isBack ? stage.flow : await stage.resume();
    next.take();
    assert.deepEqual([next.text, next.isWriteClosed], ["resumed at 15 hello", true]);
    assert.deepEqual(stage.ends, []);
    stage.client.open(bytes("hello"));
    assert.throws(() => stage.tryResume(stage.client.nextResume()), refusedWith(404));
    assert.deepEqual(stage.ends, ["upstream_failed", "released", "closed"]);
  }
});

Deno.test("stop() gives the backend what it has not taken yet, then the end of its input; the client gets what still comes", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying({ backendRoom: 2 });
  const { backend, flow } = stage;
  flow.bring(bytes("whole"));
  stage.session.stop();
  assert.equal(backend.isWriteClosed, false, "what was held was cut short");
  backend.take();
  assert.deepEqual([backend.text, backend.isWriteClosed], ["whole", true]);
  flow.bring(bytes("too late"));
  backend.bring(bytes("answered"));
  backend.end();
  assert.deepEqual([flow.text, flow.isWriteClosed], ["answer answered", true]);
  flow.end();
  assert.deepEqual(stage.ends, ["shutdown", "released", "closed"]);
});

Deno.test("what the backend sends after the session has ended is forgotten, until it closes", async () => {
  using _ = stillTime();
  const { backend, flow, session, ends } = await SessionStage.relaying();
  session.stop();
  flow.end();
  assert.deepEqual([ends, backend.isWriteClosed], [["shutdown"], true]);
  backend.bring(bytes("nobody hears this"));
  assert.equal(flow.text, "answer ");
  backend.end();
  assert.deepEqual([ends, backend.isClosed], [["shutdown", "released", "closed"], true]);
});

Deno.test("abort() closes everything at once, also a backend that lingers, and gives it back once", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying();
  stage.session.abort("admin");
  assert.deepEqual([stage.backend.isClosed, stage.flow.isClosed], [true, true]);
  assert.deepEqual(stage.ends, ["admin", "released", "closed"]);
  const lingering = await SessionStage.relaying();
  lingering.session.stop();
  lingering.flow.end();
  assert.deepEqual(lingering.ends, ["shutdown"]);
  lingering.session.abort("shutdown");
  lingering.session.abort("shutdown");
  assert.deepEqual(lingering.ends, ["shutdown", "released", "closed"]);
});

Deno.test("no more is read from the client at once than an upstream that is an SCP proxy can be sent again", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying({ cacheSize: 1024, backendRoom: 0 });
  const { flow, backend } = stage;
  assert.equal(flow.most, 1024);
  flow.bring(new Uint8Array(1024));
  backend.take();
  assert.equal(flow.most, 1024);
  assert.equal((await stage.resume({ rest: new Uint8Array(5000) })).most, 1024);
  assert.equal(Math.max(...backend.writes), 1024);
  backend.end();
  assert.equal(stage.flow.most, 1024);
  assert.equal((await SessionStage.relaying({ cacheSize: 2 ** 20 })).flow.most, 131072);
});

Deno.test("the budget counts what a session holds, and no more once that has ended", async () => {
  using _ = stillTime();
  const budget = new CacheBudget(0);
  const stage = await SessionStage.relaying({ budget });
  stage.backend.bring(bytes("hello"));
  assert.equal(budget.inUse, stage.session.describe().cache);
  assert(budget.inUse > 0);
  stage.flow.end();
  stage.backend.bring(new Uint8Array(1024));
  await stage.resume();
  assert.equal(stage.session.describe().cache, 1024);
  assert.equal(budget.inUse, 1024, "what was held for the client is not counted");
  stage.session.abort("admin");
  assert.equal(budget.inUse, 0);
});

Deno.test("the cache of a client that came back is not taken when others exceed the budget", async () => {
  using _ = stillTime();
  const budget = new CacheBudget(2048);
  const stage = await SessionStage.relaying({ budget });
  stage.backend.bring(bytes("hello"));
  stage.flow.end();
  await stage.resume();
  budget.add(4096); // another session's
  assert.equal(budget.released, 0);
  assert(stage.session.describe().cache > 0);
});

Deno.test("with the budget exceeded, a resume over a connection that lives still gets what it lacks", async () => {
  using _ = stillTime();
  const budget = new CacheBudget(1024);
  const stage = await SessionStage.relaying({ budget });
  stage.backend.bring(bytes("hello"));
  budget.add(4096); // another session's
  assert.equal((await stage.resume()).text, "resumed at 0 hello");
});
