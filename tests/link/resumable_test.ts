import assert from "node:assert/strict";
import { flowOf } from "../../lib/link/pumped_flow.ts";
import { type Attachment, ResumableStream } from "../../lib/link/resumable.ts";
import { Session } from "../../lib/scp/mod.ts";
import { ManualFlow, ManualFlowLink } from "../helpers/manual_flow.ts";

const MOST = 10;
const bytes = (text: string) => new TextEncoder().encode(text);

/** Hears a stream: what it tells, in order. */
class Listener {
  readonly told: string[] = [];
  constructor(readonly onTold: () => void = () => {}) {}

  readable = (bytes: Uint8Array) => this.#tell(new TextDecoder().decode(bytes));
  writable = () => this.#tell("(writable)");
  ended = () => this.#tell("(ended)");
  lost = () => this.#tell("(lost)");

  #tell(what: string): void {
    this.told.push(what);
    this.onTold();
  }
}

function open({ cacheSize = 1024 } = {}) {
  const session = new Session({ id: 1, secret: 1n, dialect: "plain", cacheSize });
  const losses: [reason: string, endOfStream: boolean][] = [];
  const stream = new ResumableStream(session, (...loss) => losses.push(loss));
  const listener = new Listener();
  stream.sink = listener;
  const attach = (attachment: Partial<Attachment> = {}, options: { room?: number; error?: Error } = {}): ManualFlow => {
    const link = new ManualFlowLink(options);
    if (options.error) link.flow.break(options.error);
    stream.attach(flowOf(link), { first: [], from: session.sent, rest: bytes(""), ...attachment });
    return link.flow;
  };
  return { stream, session, losses, told: listener.told, attach };
}

/** What is told after a call, and not in the middle of it, has been told. */
const soon = () => Promise.resolve();

Deno.test("what an old link brings after it was taken away is not counted", () => {
  const { stream, session, attach, losses, told } = open();
  stream.resume(MOST);
  const old = attach();
  old.bring(bytes("one"));
  stream.detach("replaced");
  assert.equal(old.isClosed, true);
  assert.throws(() => old.bring(bytes("late")), /nobody/, "the old link could still be heard");
  assert.equal(session.received, 3, "the counters are final at once");
  attach().bring(bytes("two"));
  assert.deepEqual(told, ["one", "two"]);
  assert.deepEqual(losses, [["replaced", false]]);
});

Deno.test("a write that a link took half of counts as written, and the next link is sent the rest", () => {
  const { stream, session, attach } = open();
  const old = attach({}, { room: 2 });
  assert.equal(stream.write(bytes("hello")), 5);
  assert.equal(session.sent, 5);
  stream.detach("replaced");
  assert.equal(old.text, "he");
  assert.equal(attach({ from: 2 }).text, "llo");
  assert.equal(session.sent, 5);
});

Deno.test("a link can be taken away in the middle of its answer, and nothing of that one goes over the next", () => {
  const { stream, attach } = open();
  const old = attach({ first: [bytes("old answer")] }, { room: 3 });
  assert.equal(stream.isAnswered, false);
  stream.detach("replaced");
  assert.equal(attach({ first: [bytes("new answer")] }).text, "new answer");
  assert.equal(old.text, "old");
  assert.equal(stream.isAnswered, true);
});

Deno.test("write() takes and seals nothing while no link is there, and says when it does", async () => {
  const { stream, session, attach, told } = open();
  const hello = bytes("hello");
  assert.equal(stream.write(hello), 0);
  assert.deepEqual([session.sent, new TextDecoder().decode(hello)], [0, "hello"]);
  const flow = attach();
  assert.deepEqual(told, [], "it was told in the middle of attach()");
  await soon();
  assert.deepEqual(told, ["(writable)"]);
  assert.equal(stream.write(hello), 5);
  assert.equal(flow.text, "hello");
  stream.detach("cut");
  attach();
  stream.detach("cut");
  attach();
  await soon();
  assert.deepEqual(told, ["(writable)", "(writable)"], "it may write again, and was told so more than once");
});

Deno.test("write() takes nothing while the link has not taken what was before, and says once when it does", async () => {
  const { stream, session, attach, told } = open();
  const flow = attach({}, { room: 3 });
  await soon();
  told.length = 0;
  assert.equal(stream.write(bytes("hello")), 5);
  assert.equal(stream.isReady, false);
  assert.equal(stream.write(bytes("x")), 0);
  assert.equal(session.sent, 5);
  flow.take(1);
  assert.deepEqual(told, []);
  flow.take();
  assert.deepEqual(told, ["(writable)"]);
  assert.equal(flow.text, "hello");
  assert.equal(stream.write(bytes("!")), 1);
  flow.take();
  await soon();
  assert.deepEqual(told, ["(writable)"]);
});

Deno.test("attach() writes the answer, what was missed, and only then what is new", async () => {
  const { stream, session, attach, told } = open();
  session.seal(bytes("got,missed,"));
  const flow = attach({ first: [bytes("answer,"), bytes("and,")], from: 4 }, { room: 0 });
  for (let room = 0; room < 17; room++) {
    assert.equal(stream.write(bytes("new")), 0, flow.text);
    flow.take(1);
  }
  assert.equal(flow.text, "answer,and,missed");
  flow.take(1);
  assert.deepEqual(told, ["(writable)"]);
  stream.write(bytes("new"));
  flow.take();
  await soon();
  assert.equal(flow.text, "answer,and,missed,new");
});

Deno.test("what is sent from the cache while that wraps round is sent in order", () => {
  const { stream, attach } = open({ cacheSize: 8 });
  const old = attach();
  stream.write(bytes("12345"));
  stream.write(bytes("6789a"));
  assert.equal(old.text, "123456789a");
  assert.deepEqual(old.writes, [5, 5], "what is new goes in one piece, wherever it lies in the cache");
  stream.detach("cut");
  const flow = attach({ from: 2 }, { room: 1 });
  for (let i = 0; i < 7; i++) flow.take(1);
  assert.equal(flow.text, "3456789a");
});

Deno.test("bytes are heard while the sending again is under way: two ends that both resend do not wait for each other", () => {
  const { stream, attach, told } = open();
  stream.resume(MOST);
  const flow = attach({ first: [bytes("missed")] }, { room: 0 });
  flow.bring(bytes("x"));
  assert.deepEqual(told, ["x"]);
});

Deno.test("the bytes that came with the handshake are told first, in pieces, and after the call", async () => {
  const { stream, session, attach, told } = open();
  const flow = attach({ rest: bytes("abcde") });
  await soon();
  told.length = 0;
  stream.resume(3);
  assert.deepEqual([told.length, flow.isPaused], [0, true]);
  await soon();
  assert.deepEqual(told, ["abc", "de"]);
  assert.equal(session.received, 5);
  flow.bring(bytes("f"));
  assert.equal(told.at(-1), "f");
});

Deno.test("the bytes that came with the handshake wait when the sink pauses between two pieces", async () => {
  const { session, attach, stream } = open();
  const pausing = new Listener(() => stream.pause());
  stream.sink = pausing;
  stream.resume(3);
  const flow = attach({ rest: bytes("abcde") });
  stream.write(bytes("")); // `writable` need not be told
  await soon();
  assert.deepEqual([pausing.told[0], session.received, flow.isPaused], ["abc", 3, true]);
  stream.resume(3);
  await soon();
  assert.deepEqual(pausing.told, ["abc", "de"]);
  assert.equal(flow.isPaused, true);
});

Deno.test("bytes that came with a handshake and were not told are not counted once their link is gone", async () => {
  const { stream, session, attach, told } = open();
  attach({ rest: bytes("abcde") });
  stream.resume(MOST);
  stream.detach("replaced");
  await soon();
  assert.deepEqual([session.received, told], [0, []]);
  attach({ rest: bytes("ab") });
  await soon();
  assert.equal(session.received, 2);
  assert(told.includes("ab"));
});

Deno.test("a link that ends or breaks is lost once and closed, and the stream goes on over the next", () => {
  const { stream, losses, attach, told } = open();
  stream.resume(MOST);
  for (
    const [happen, loss] of [
      [(flow: ManualFlow) => flow.end(), ["closed by the peer", true]],
      [(flow: ManualFlow) => flow.lose(new Error("reset")), ["reset", false]],
      [() => stream.detach("over"), ["over", false]],
    ] as const
  ) {
    const flow = attach();
    flow.bring(bytes("x"));
    happen(flow);
    stream.detach("again");
    assert.deepEqual([stream.isAttached, flow.isClosed, losses], [false, true, [loss]]);
    losses.length = 0;
  }
  assert.deepEqual(told, ["x", "x", "x"], "the sink heard of a loss");
});

Deno.test("a link that breaks in a write while bytes are heard is lost after what came before that", () => {
  const { stream, session, losses, attach } = open();
  stream.resume(MOST);
  const flow = attach();
  flow.break(new Error("broken pipe"));
  assert.equal(stream.write(bytes("hello")), 5);
  assert.deepEqual([stream.isAttached, losses, session.sent], [true, [], 5]);
  assert.equal(stream.write(bytes("more")), 0);
  flow.bring(bytes("before"));
  flow.lose();
  assert.deepEqual([session.received, losses], [6, [["broken pipe", false]]]);
  assert.equal(attach({ from: 0 }).text, "hello");
});

Deno.test("a link that breaks in a write while it is paused is lost at once, of which nothing else would tell", () => {
  const { stream, session, losses, attach } = open();
  const flow = attach();
  flow.break(new Error("broken pipe"));
  assert.equal(stream.write(bytes("hello")), 5);
  assert.deepEqual([stream.isAttached, flow.isClosed, losses, session.sent], [
    false,
    true,
    [["broken pipe", false]],
    5,
  ]);
  assert.equal(stream.write(bytes("more")), 0);
  attach({ first: [bytes("answer")] }, { error: new Error("broke again") });
  assert.deepEqual([stream.isAttached, stream.isAnswered, losses.length], [false, false, 2]);
});

Deno.test("a link that lost what it had taken, and says so while it is paused, is lost at once", () => {
  const { stream, losses, attach } = open();
  const flow = attach();
  stream.write(bytes("hello"));
  flow.break(new Error("broken pipe"));
  flow.sink.writable();
  assert.deepEqual([stream.isAttached, losses], [false, [["broken pipe", false]]]);
  assert.equal(attach({ from: 0 }).text, "hello");
});

Deno.test("look() finds a link that broke while it was paused, and leaves one that is heard to say so itself", () => {
  const { stream, losses, attach } = open();
  stream.look();
  const flow = attach();
  stream.look();
  flow.break(new Error("gone"));
  stream.resume(MOST);
  stream.look();
  assert.deepEqual(losses, []);
  stream.pause();
  stream.look();
  stream.look();
  assert.deepEqual(losses, [["gone", false]]);
});

Deno.test("whether it is paused, and how much is told at once, goes on over the next link", () => {
  const { stream, attach } = open();
  assert.equal(attach().isPaused, true);
  stream.resume(7);
  stream.detach("cut");
  const second = attach();
  assert.deepEqual([second.isPaused, second.most], [false, 7]);
  stream.pause();
  assert.equal(second.isPaused, true);
  stream.detach("cut");
  assert.equal(attach().isPaused, true);
});

Deno.test("what happens on a link that was taken away does not touch the one that replaced it", () => {
  const { stream, losses, attach } = open();
  stream.resume(MOST);
  const old = attach({}, { room: 0 });
  stream.write(bytes("hello"));
  stream.detach("replaced");
  const next = attach({ from: 0 }, { room: 2 });
  assert.throws(() => old.take(), /closed/);
  assert.throws(() => old.lose(), /nobody/);
  assert.deepEqual([next.text, next.isClosed], ["he", false]);
  assert.deepEqual(losses, [["replaced", false]]);
});

Deno.test("closeWrite() ends the direction of the link after all that was written, and of every later link", () => {
  const { stream, attach } = open();
  const flow = attach({ first: [bytes("answer")] }, { room: 2 });
  stream.closeWrite();
  assert.equal(flow.isWriteClosed, false);
  flow.take();
  stream.closeWrite();
  assert.deepEqual([flow.text, flow.isWriteClosed], ["answer", true]);
  stream.detach("lost");
  const next = attach({ first: [bytes("answer")] });
  assert.deepEqual([next.text, next.isWriteClosed], ["answer", true]);
});

Deno.test("closeWrite() while no link is there ends the direction of the next, after what that lacks", () => {
  const { stream, session, attach } = open();
  session.seal(bytes("missed"));
  stream.closeWrite();
  assert.equal(stream.isFinished, true);
  const flow = attach({ from: 0 }, { room: 3 });
  assert.equal(flow.isWriteClosed, false);
  flow.take();
  assert.deepEqual([flow.text, flow.isWriteClosed], ["missed", true]);
});

Deno.test("close() closes the link, takes nothing more, tells nothing more, and is no loss", async () => {
  const { stream, losses, attach, told } = open();
  const flow = attach({ rest: bytes("abc") });
  stream.resume(MOST);
  stream.close();
  stream.close();
  await soon();
  assert.deepEqual([flow.isClosed, stream.isEnded, stream.isAttached], [true, true, false]);
  assert.throws(() => stream.write(bytes("x")), /the stream has ended/);
  assert.deepEqual([losses, told], [[], []]);
});

Deno.test("reset() resets the link, and ends the stream", () => {
  const { stream, losses, attach } = open();
  const flow = attach();
  stream.reset();
  assert.deepEqual([flow.isReset, flow.isClosed, stream.isEnded, losses], [true, true, true, []]);
});

Deno.test("unacknowledged() counts what the link has not taken, and what that says; nothing while there is none", () => {
  const { stream, attach } = open();
  assert.equal(stream.unacknowledged(), 0);
  const flow = attach({}, { room: 2 });
  flow.unacknowledged = () => 100;
  stream.write(bytes("hello"));
  assert.equal(stream.unacknowledged(), 103);
  stream.detach("cut");
  assert.equal(stream.unacknowledged(), 0);
});

Deno.test("what goes before the stream counts as not acknowledged: after a move bytes of it may be among that", () => {
  const { stream, attach } = open();
  const flow = attach({ first: [bytes("12345"), bytes("67")] }, { room: 2 });
  assert.equal(stream.unacknowledged(), 5);
  flow.take();
  assert.equal(stream.unacknowledged(), 0);
});

Deno.test("a stream says how far it is with its link, and lets go of it, which stays open", () => {
  const { stream, session, attach, losses } = open();
  assert.equal(stream.standing, undefined);
  const flow = attach({ first: [bytes("123"), bytes("45")], rest: bytes("rest") }, { room: 2 });
  assert.deepEqual(stream.standing, { first: bytes("345"), written: 0, isToldFinished: false });
  flow.take(5);
  stream.write(bytes("abcd"));
  assert.deepEqual(stream.standing, { first: bytes(""), written: 2, isToldFinished: false });
  assert.equal(session.sent, 4);
  const left = stream.leave()!;
  assert.deepEqual([left.rest, flow.isClosed, flow.isPaused], [bytes("rest"), false, true]);
  assert.equal(left.flow, flow);
  assert.deepEqual([stream.standing, stream.isEnded, losses], [undefined, true, []]);
});
