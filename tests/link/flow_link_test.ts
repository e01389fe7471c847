import assert from "node:assert/strict";
import { FlowLink } from "../../lib/link/flow_link.ts";
import { ManualFlow } from "../helpers/manual_flow.ts";
import { settled } from "../helpers/turns.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function open(options: { room?: number } = {}): { flow: ManualFlow; link: FlowLink } {
  const flow = new ManualFlow(options);
  return { flow, link: new FlowLink(flow) };
}

Deno.test("read() of a flow's link asks for what it has room for, once: nothing is heard while nobody reads", async () => {
  const { flow, link } = open();
  assert.equal(flow.isPaused, true);
  const buffer = new Uint8Array(10);
  const read = link.read(buffer);
  assert.deepEqual([flow.isPaused, flow.most], [false, 10]);
  flow.bring(bytes("hello"));
  assert.equal(flow.isPaused, true);
  assert.equal(await read, 5);
  assert.deepEqual(buffer.subarray(0, 5), bytes("hello"));
});

Deno.test("read() of a flow's link is null at the end, again and again; writes go on", async () => {
  const { flow, link } = open();
  const read = link.read(new Uint8Array(10));
  flow.end();
  assert.equal(await read, null);
  assert.equal(await link.read(new Uint8Array(10)), null);
  assert.equal(await link.write(bytes("hello")), 5);
  await link.closeWrite();
  assert.deepEqual([flow.text, flow.isWriteClosed], ["hello", true]);
});

Deno.test("a flow's link that was lost rejects what is pending, and all that comes after", async () => {
  const { flow, link } = open({ room: 0 });
  const [read, written] = [link.read(new Uint8Array(10)), link.write(bytes("x"))];
  const error = new Error("reset");
  flow.lose(error);
  const after = [link.read(new Uint8Array(10)), link.write(bytes("x")), link.closeWrite()];
  for (const outcome of await Promise.allSettled([read, written, ...after])) {
    assert.deepEqual(outcome, { status: "rejected", reason: error });
  }
});

Deno.test("write() to a flow's link gives how much was taken, and waits while nothing is", async () => {
  const { flow, link } = open({ room: 2 });
  assert.equal(await link.write(bytes("hello")), 2);
  const written = link.write(bytes("llo"));
  assert.equal(await settled(written), false);
  flow.take(1);
  assert.equal(await written, 1);
  flow.take();
  assert.equal(await link.write(bytes("lo")), 2);
  assert.equal(await link.write(bytes("")), 0);
  assert.equal(flow.text, "hello");
});

Deno.test("write() to a flow's link that broke rejects; what came before can be read, and then the loss", async () => {
  const { flow, link } = open({ room: 0 });
  const waiting = link.write(bytes("x"));
  flow.break(new Error("broken pipe"));
  flow.take();
  await assert.rejects(waiting, /broken pipe/);
  await assert.rejects(link.write(bytes("x")), /broken pipe/);
  const read = link.read(new Uint8Array(10));
  flow.bring(bytes("before"));
  assert.equal(await read, 6);
  const last = link.read(new Uint8Array(10));
  flow.lose();
  await assert.rejects(last, /broken pipe/);
});

Deno.test("close() of a flow's link ends what is pending: a read with null, a write with an error", async () => {
  const { flow, link } = open({ room: 0 });
  const [read, written] = [link.read(new Uint8Array(10)), link.write(bytes("x"))];
  link.close();
  link.close();
  assert.equal(flow.isClosed, true);
  assert.equal(await read, null);
  await assert.rejects(written, /closed/);
  assert.equal(await link.read(new Uint8Array(10)), null);
});

Deno.test("close() of a flow's link with an error rejects all with it, whatever it is", async () => {
  for (const error of [new Error("lost for good"), null, 0, ""]) {
    const { flow, link } = open({ room: 0 });
    const [read, written] = [link.read(new Uint8Array(10)), link.write(bytes("x"))];
    link.close(error);
    const after = [link.read(new Uint8Array(10)), link.write(bytes("x")), link.closeWrite()];
    for (const outcome of await Promise.allSettled([read, written, ...after])) {
      assert.deepEqual(outcome, { status: "rejected", reason: error });
    }
    assert.equal(flow.isClosed, true);
  }
});

Deno.test("reset() of a flow's link resets the flow, and ends what is pending", async () => {
  const { flow, link } = open();
  const read = link.read(new Uint8Array(10));
  link.reset();
  assert.deepEqual([flow.isReset, await read], [true, null]);
});

Deno.test("a flow goes on for another sink than its link, from where the link has read", async () => {
  const { flow, link } = open();
  const read = link.read(new Uint8Array(3));
  flow.bring(bytes("one"));
  await read;
  const told: Uint8Array[] = [];
  link.flow.sink = { readable: (bytes) => told.push(bytes.slice()), writable() {}, ended() {}, lost() {} };
  link.flow.resume(10);
  flow.bring(bytes("two"));
  assert.deepEqual(told, [bytes("two")]);
});
