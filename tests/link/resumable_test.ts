import assert from "node:assert/strict";
import { ResumableStream } from "../../lib/link/resumable.ts";
import { Session } from "../../lib/scp/mod.ts";
import { concat } from "../helpers/bytes.ts";
import { ManualLink } from "../helpers/manual_link.ts";
import { settled } from "../helpers/turns.ts";

const NOTHING = new Uint8Array(0);

function open({ cacheSize = 1024 } = {}): { stream: ResumableStream; session: Session; losses: string[] } {
  const session = new Session({ id: 1, secret: 1n, dialect: "plain", cacheSize });
  const losses: string[] = [];
  return { stream: new ResumableStream(session, (reason) => losses.push(reason)), session, losses };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (chunks: Uint8Array[]) => new TextDecoder().decode(concat(chunks));

Deno.test("detach() waits for a pending read, and what it still brings is counted", async () => {
  const { stream, session } = open();
  const old = new ManualLink();
  await stream.attach(old, { first: [], rest: NOTHING });
  const buffer = new Uint8Array(10);
  const read = stream.read(buffer);
  const detached = stream.detach("replaced");
  assert.equal(old.closed, true);
  assert.equal(await settled(detached), false, "the counters were taken while a read was pending");
  old.bring(bytes("late"));
  await detached;
  assert.equal(session.received, 4);
  assert.equal(await read, 4);
  assert.equal(textOf([buffer.subarray(0, 4)]), "late");
});

Deno.test("detach() waits for a pending write", async () => {
  const { stream, session } = open();
  const old = new ManualLink({ autoWrite: false });
  await stream.attach(old, { first: [], rest: NOTHING });
  const written = stream.write(bytes("hello"));
  await settled(written);
  const detached = stream.detach("replaced");
  assert.equal(await settled(detached), false, "a second writer could have started");
  old.take(new Error("broken"));
  await detached;
  assert.equal(await written, 5, "a write that fails half-way counts as written");
  assert.equal(textOf(session.missing(0)), "hello");
});

Deno.test("detach() waits for what is being sent again", async () => {
  const { stream } = open();
  const link = new ManualLink({ autoWrite: false });
  const attached = stream.attach(link, { first: [bytes("answer")], rest: NOTHING });
  const detached = stream.detach("replaced");
  assert.equal(await settled(detached), false);
  link.take(new Error("broken"));
  await detached;
  assert.equal(await attached, false);
});

Deno.test("write() seals nothing while no link is there", async () => {
  const { stream, session } = open();
  const written = stream.write(bytes("hello"));
  assert.equal(await settled(written), false);
  assert.equal(session.sent, 0);
  const link = new ManualLink();
  await stream.attach(link, { first: [], rest: NOTHING });
  assert.equal(await written, 5);
  assert.equal(session.sent, 5);
  assert.equal(textOf(link.written), "hello");
});

Deno.test("attach() writes the answer, what was missed, and only then what is new", async () => {
  const { stream } = open();
  const link = new ManualLink({ autoWrite: false });
  const attached = stream.attach(link, { first: [bytes("answer,"), bytes("missed,")], rest: NOTHING });
  const written = stream.write(bytes("new"));
  await settled(written);
  assert.equal(textOf(link.written), "answer,");
  link.take();
  await settled(written);
  assert.equal(textOf(link.written), "answer,missed,");
  link.take();
  assert.equal(await attached, true);
  await settled(written);
  assert.equal(textOf(link.written), "answer,missed,new");
  link.take();
  assert.equal(await written, 3);
});

Deno.test("attach() goes on with the rest of a partial write", async () => {
  const { stream } = open();
  const link = new ManualLink({ autoWrite: false });
  const attached = stream.attach(link, { first: [bytes("answer")], rest: NOTHING });
  link.take(2);
  await settled(attached);
  link.take();
  assert.equal(await attached, true);
  assert.deepEqual(link.written.map((chunk) => textOf([chunk])), ["answer", "swer"]);
});

Deno.test("read() goes on while the sending again is under way: two ends that both resend do not wait for each other", async () => {
  const { stream } = open();
  const link = new ManualLink({ autoWrite: false });
  void stream.attach(link, { first: [bytes("missed")], rest: NOTHING });
  const read = stream.read(new Uint8Array(10));
  await settled(read);
  assert.equal(link.reading, true);
  link.bring(bytes("x"));
  assert.equal(await read, 1);
});

Deno.test("read() gives the bytes that came with the handshake first, in pieces", async () => {
  const { stream, session } = open();
  const link = new ManualLink();
  await stream.attach(link, { first: [], rest: bytes("abcde") });
  const buffer = new Uint8Array(3);
  assert.equal(await stream.read(buffer), 3);
  assert.equal(textOf([buffer]), "abc");
  assert.equal(await stream.read(buffer), 2);
  assert.equal(session.received, 5);
  const third = stream.read(buffer);
  await settled(third);
  link.bring(bytes("f"));
  assert.equal(await third, 1);
});

Deno.test("bytes that came with a handshake and were not read are not counted once their link is gone", async () => {
  const { stream, session } = open();
  await stream.attach(new ManualLink(), { first: [], rest: bytes("abcde") });
  await stream.detach("replaced");
  assert.equal(session.received, 0);
  const link = new ManualLink();
  await stream.attach(link, { first: [], rest: bytes("ab") });
  assert.equal(await stream.read(new Uint8Array(10)), 2);
});

Deno.test("a link that ends or breaks is lost once, and read() waits for the next", async () => {
  const { stream, losses } = open();
  for (const [outcome, reason] of [[null, "closed by the peer"], [new Error("reset"), "reset"]] as const) {
    const link = new ManualLink();
    await stream.attach(link, { first: [], rest: NOTHING });
    const read = stream.read(new Uint8Array(10));
    await settled(read);
    link.bring(outcome);
    assert.equal(await settled(read), false);
    assert.equal(stream.attached, false);
    assert.equal(link.closed, true);
    assert.equal(losses.pop(), reason);
    const next = new ManualLink();
    await stream.attach(next, { first: [], rest: bytes("x") });
    assert.equal(await read, 1);
    await stream.detach("over");
    assert.equal(losses.pop(), "over");
  }
  assert.deepEqual(losses, []);
});

Deno.test("what happens on a link that was taken away does not touch the one that replaced it", async () => {
  const { stream, losses } = open();
  const old = new ManualLink();
  await stream.attach(old, { first: [], rest: NOTHING });
  const read = stream.read(new Uint8Array(10));
  await settled(read);
  const detached = stream.detach("replaced");
  old.bring(new Error("interrupted"));
  await detached;
  const next = new ManualLink();
  await stream.attach(next, { first: [], rest: bytes("x") });
  assert.equal(await read, 1);
  assert.equal(next.closed, false);
  assert.deepEqual(losses, ["replaced"]);
});

Deno.test("closeWrite() ends the direction of the link after the write under way, and of every later link", async () => {
  const { stream } = open();
  const link = new ManualLink({ autoWrite: false });
  const attached = stream.attach(link, { first: [bytes("missed")], rest: NOTHING });
  const finished = stream.closeWrite();
  await settled(finished);
  assert.equal(link.writeClosed, false);
  link.take();
  await attached;
  await finished;
  assert.equal(link.writeClosed, true);
  await stream.detach("lost");
  const next = new ManualLink();
  await stream.attach(next, { first: [bytes("missed")], rest: NOTHING });
  assert.equal(next.writeClosed, true);
});

Deno.test("closeWrite() settles while no link is there", async () => {
  const { stream } = open();
  await stream.closeWrite();
  assert.equal(stream.finished, true);
});

Deno.test("end() ends a waiting read with null and rejects a waiting write", async () => {
  const { stream, losses } = open();
  const read = stream.read(new Uint8Array(10));
  const written = stream.write(bytes("x"));
  stream.end();
  assert.equal(await read, null);
  await assert.rejects(written, /the stream has ended/);
  assert.equal(await stream.read(new Uint8Array(10)), null);
  assert.deepEqual(losses, []);
});

Deno.test("end() with an error rejects reads and writes with it, and closes the link", async () => {
  const { stream, losses } = open();
  const link = new ManualLink();
  await stream.attach(link, { first: [], rest: NOTHING });
  const read = stream.read(new Uint8Array(10));
  await settled(read);
  stream.end(new Error("lost for good"));
  stream.end();
  assert.equal(link.closed, true);
  link.bring(new Error("interrupted"));
  await assert.rejects(read, /lost for good/);
  await assert.rejects(stream.write(bytes("x")), /lost for good/);
  assert.deepEqual(losses, []);
});
