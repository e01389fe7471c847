import { setImmediate } from "node:timers";
import assert from "node:assert/strict";
import { flowOf, PumpedFlow } from "../../lib/link/pumped_flow.ts";
import { concat } from "../helpers/bytes.ts";
import { ManualFlowLink } from "../helpers/manual_flow.ts";
import { ManualLink } from "../helpers/manual_link.ts";
import { pattern } from "../helpers/random.ts";
import { turn } from "../helpers/turns.ts";

const LARGEST_WRITE = 65536;
const bytes = (text: string) => new TextEncoder().encode(text);

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

function open({ autoWrite = true } = {}) {
  const link = new ManualLink({ autoWrite });
  const flow = new PumpedFlow(link);
  const told: string[] = [];
  flow.sink = {
    readable: (bytes) => told.push(new TextDecoder().decode(bytes)),
    writable: () => told.push("(writable)"),
    ended: () => told.push("(ended)"),
    lost: (error) => told.push(`(lost: ${(error as Error).message})`),
  };
  return { link, flow, told };
}

Deno.test("a pumped flow reads nothing before resume(), and tells nothing in the middle of it", async () => {
  const { link, flow, told } = open();
  await turn();
  assert.equal(link.reading, false);
  flow.resume(10);
  assert.equal(link.wanted, 10);
  link.bring(bytes("hello"));
  assert.deepEqual(told, []);
  await turn();
  assert.deepEqual(told, ["hello"]);
});

Deno.test("a pumped flow tells of `most` bytes at once, also of those that it read when more were wanted", async () => {
  const { link, flow, told } = open();
  flow.resume(100);
  flow.pause();
  link.bring(bytes("hello world"));
  flow.resume(5);
  await turn();
  assert.deepEqual(told, ["hello", " worl", "d"]);
  assert.equal(link.wanted, 5);
});

Deno.test("a pumped flow that is paused reads ahead once, and tells of it when it is resumed", async () => {
  const { link, flow, told } = open();
  const { sink } = flow;
  flow.sink = { ...sink, readable: (bytes) => (sink.readable(bytes), flow.pause()) };
  flow.resume(3);
  link.bring(bytes("one"));
  await turn();
  link.bring(bytes("two"));
  await turn();
  assert.deepEqual([told, link.reading], [["one"], false]);
  flow.resume(3);
  assert.deepEqual(told, ["one"], "it was told in the middle of resume()");
  await turn();
  assert.deepEqual([told, link.reading], [["one", "two"], true]);
});

for (
  const [what, outcome, tells] of [["end", null, "(ended)"], ["loss", new Error("reset"), "(lost: reset)"]] as const
) {
  Deno.test(`a pumped flow that is paused tells of the ${what} when it is resumed, once`, async () => {
    const { link, flow, told } = open();
    flow.resume(10);
    flow.pause();
    link.bring(outcome);
    await turn();
    assert.deepEqual(told, []);
    flow.resume(10);
    await turn();
    flow.resume(10);
    await turn();
    assert.deepEqual([told, link.reading], [[tells], false]);
  });
}

Deno.test("a pumped flow copies what it takes, and takes no more until the link has taken that, whole", async () => {
  const { link, flow, told } = open({ autoWrite: false });
  const one = bytes("hello");
  assert.equal(flow.write(one), 5);
  one.fill(0);
  assert.equal(flow.write(bytes("x")), 0);
  link.take(2);
  await turn();
  assert.deepEqual(told, []);
  link.take();
  await turn();
  assert.deepEqual(told, ["(writable)"]);
  assert.deepEqual(link.written, [bytes("hello"), bytes("llo")]);
  assert.equal(flow.write(bytes("world")), 5);
  link.take();
  await turn();
  assert.deepEqual(told, ["(writable)"], "nothing was refused since");
});

Deno.test("a pumped flow holds a bounded part of a large write, and says when it takes the rest", async () => {
  const { link, flow, told } = open({ autoWrite: false });
  const all = pattern(0, LARGEST_WRITE + 5);
  assert.equal(flow.write(all), LARGEST_WRITE);
  link.take();
  await turn();
  assert.deepEqual(told, ["(writable)"]);
  assert.equal(flow.write(all.subarray(LARGEST_WRITE)), 5);
  assert.deepEqual(concat(link.written), all);
});

Deno.test("a pumped flow whose write broke tells what came before, then the loss, which an end is too", async () => {
  const { link, flow, told } = open({ autoWrite: false });
  flow.resume(10);
  flow.write(bytes("hello"));
  assert.equal(flow.write(bytes("more")), 0);
  link.take(new Error("broken pipe"));
  await turns(3);
  assert.deepEqual(told, ["(writable)"]);
  assert.throws(() => flow.write(bytes("x")), /broken pipe/);
  assert.throws(() => flow.write(bytes("")), /broken pipe/);
  link.bring(bytes("before"));
  await turn();
  link.bring(null);
  await turn();
  assert.deepEqual(told, ["(writable)", "before", "(lost: broken pipe)"]);
});

Deno.test("a pumped flow whose write broke says so, also when nothing was refused, and only a write finds out while it is paused", async () => {
  const { link, flow, told } = open({ autoWrite: false });
  flow.write(bytes("hello"));
  link.take(new Error("broken pipe"));
  await turns(3);
  assert.deepEqual(told, ["(writable)"]);
  assert.throws(() => flow.write(bytes("")), /broken pipe/);
});

Deno.test("a pumped flow whose write broke tells whoever is between two reads what came before, and only then says so", async () => {
  const { link, flow, told } = open({ autoWrite: false });
  const { sink } = flow;
  flow.sink = {
    ...sink,
    readable: (bytes) => {
      sink.readable(bytes);
      flow.pause();
      queueMicrotask(() => flow.resume(10));
    },
  };
  flow.resume(10);
  flow.write(bytes("hello"));
  link.bring(bytes("a"));
  link.take(new Error("broken pipe"));
  for (const text of ["b", "c", "d"]) {
    await turn();
    link.bring(bytes(text));
  }
  await turn();
  assert.deepEqual(told, ["a", "b", "c", "d"]);
  link.bring(null);
  await turns(3);
  assert.deepEqual(told.slice(4).sort(), ["(lost: broken pipe)", "(writable)"]);
});

Deno.test("a pumped flow that was lost says so to writes too", async () => {
  const { link, flow, told } = open();
  flow.resume(10);
  link.bring(new Error("reset"));
  await turn();
  assert.deepEqual(told, ["(lost: reset)"]);
  assert.throws(() => flow.write(bytes("x")), /reset/);
});

Deno.test("a pumped flow ends its direction after the write under way; when that breaks, a write finds out", async () => {
  const { link, flow } = open({ autoWrite: false });
  flow.write(bytes("hello"));
  flow.closeWrite();
  await turn();
  assert.equal(link.writeClosed, false);
  link.take();
  await turn();
  assert.equal(link.writeClosed, true);
  const other = open();
  other.link.closeWrite = () => Promise.reject(new Error("reset"));
  other.flow.closeWrite();
  await turns(3);
  assert.deepEqual(other.told, ["(writable)"]);
  assert.throws(() => other.flow.write(bytes("")), /reset/);
});

for (const outcome of [bytes("late"), null, new Error("interrupted")]) {
  Deno.test(`a pumped flow that was closed tells nothing any more: ${outcome ? outcome.constructor.name : outcome}`, async () => {
    const { link, flow, told } = open({ autoWrite: false });
    flow.resume(10);
    flow.write(bytes("hello"));
    flow.write(bytes("more"));
    flow.close();
    flow.close();
    assert.equal(link.closed, true);
    link.bring(outcome);
    link.take(new Error("interrupted"));
    await turn();
    assert.deepEqual(told, []);
  });
}

Deno.test("a pumped flow that is closed while it is paused, or in the middle of what it tells, tells nothing any more", async () => {
  const paused = open();
  paused.flow.resume(10);
  paused.flow.pause();
  paused.link.bring(bytes("late"));
  await turn();
  paused.flow.close();
  await turn();
  assert.deepEqual(paused.told, []);
  const { link, flow, told } = open();
  const { sink } = flow;
  flow.sink = { ...sink, readable: (bytes) => (sink.readable(bytes), flow.reset()) };
  flow.resume(10);
  flow.resume(2);
  link.bring(bytes("four"));
  await turn();
  assert.deepEqual([told, link.closed], [["fo"], true]);
});

Deno.test("a pumped flow lets others have their turn although its link always has more than was asked for", async () => {
  let [reads, readsAtTurn] = [0, 0];
  const link = new ManualLink();
  link.read = (buffer) => Promise.resolve(reads++ < 10_000 ? buffer.length : null);
  const flow = new PumpedFlow(link);
  setImmediate(() => readsAtTurn = reads);
  const over = new Promise<void>((resolve) => {
    flow.sink = { readable() {}, writable() {}, ended: resolve, lost() {} };
  });
  flow.resume(100_000);
  await over;
  assert(readsAtTurn > 0 && readsAtTurn < 100, `${readsAtTurn} reads came before it`);
});

Deno.test("flowOf() gives a link's own flow, and pumps any other", () => {
  const link = new ManualFlowLink();
  assert.equal(flowOf(link), link.flow);
  assert(flowOf(new ManualLink()) instanceof PumpedFlow);
});

Deno.test("a pumped flow whose direction is ended again says once that the end is the system's", async () => {
  const { flow, told } = open();
  const { sink } = flow;
  flow.sink = {
    ...sink,
    writable: () => {
      sink.writable();
      if (told.length < 10) flow.closeWrite();
    },
  };
  flow.closeWrite();
  assert.equal(flow.isDrained, false);
  await turn();
  await turn();
  assert.deepEqual([told, flow.isDrained], [["(writable)"], true]);
});
