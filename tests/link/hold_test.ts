import assert from "node:assert/strict";
import { FlowLink } from "../../lib/link/flow_link.ts";
import { flowOf } from "../../lib/link/pumped_flow.ts";
import { ResumableStream } from "../../lib/link/resumable.ts";
import { Session } from "../../lib/scp/mod.ts";
import { ManualLink } from "../helpers/manual_link.ts";
import { settled } from "../helpers/turns.ts";

function held() {
  const session = new Session({ id: 1, secret: 1n, dialect: "plain", cacheSize: 1000 });
  const losses: string[] = [];
  const stream = new ResumableStream(session, (reason) => losses.push(reason));
  const reader = new FlowLink(stream);
  const link = new ManualLink();
  const rest = new Uint8Array([1, 2]);
  stream.attach(flowOf(link), { first: [], from: 0, rest });
  return { session, stream, reader, link, losses };
}

Deno.test("a stream whose link is held takes nothing from it, goes on to write, and takes all after release()", async () => {
  const { session, stream, reader, link } = held();
  const buffer = new Uint8Array(1);
  const first = reader.read(buffer);
  stream.hold();
  assert.equal(await settled(first), false);
  stream.release();
  assert.equal(await first, 1);
  stream.hold();
  const second = reader.read(buffer);
  assert.equal(await settled(second), false);
  assert.equal(session.received, 1);
  await reader.write(new Uint8Array([5]));
  assert.deepEqual(link.written, [new Uint8Array([5])]);
  stream.release();
  stream.release();
  assert.deepEqual([await second, buffer[0], session.received], [1, 2, 2]);
  stream.hold();
  const third = reader.read(buffer);
  assert.deepEqual([await settled(third), link.reading], [false, false]);
  stream.release();
  link.bring(new Uint8Array([3]));
  assert.deepEqual([await third, buffer[0], session.received], [1, 3, 3]);
  stream.close();
});

Deno.test("a stream tells that a held link has ended after release(); another link is not held", async () => {
  const { stream, reader, link, losses } = held();
  const buffer = new Uint8Array(2);
  assert.equal(await reader.read(buffer), 2);
  const read = reader.read(buffer);
  await settled(read);
  stream.hold();
  link.bring(null);
  await settled(read);
  assert.deepEqual(losses, []);
  stream.release();
  await settled(read);
  assert.deepEqual(losses, ["closed by the peer"]);
  const next = new ManualLink();
  stream.attach(flowOf(next), { first: [], from: 0, rest: new Uint8Array(0) });
  await settled(read);
  stream.hold();
  stream.detach("replaced");
  const last = new ManualLink();
  stream.attach(flowOf(last), { first: [], from: 0, rest: new Uint8Array(0) });
  await settled(read);
  last.bring(new Uint8Array([3]));
  assert.equal(await read, 1);
  stream.close();
});
