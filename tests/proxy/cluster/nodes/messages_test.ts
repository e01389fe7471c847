import assert from "node:assert/strict";
import type { Link } from "../../../../lib/link/link.ts";
import { writeAll } from "../../../../lib/link/link.ts";
import { messageOf, MessageReader } from "../../../../lib/proxy/cluster/nodes/messages.ts";
import { NoAnswer, Requests, serveRequests } from "../../../../lib/proxy/cluster/nodes/requests.ts";
import { readToEnd } from "../../../helpers/backend.ts";
import { WORKING } from "../../../helpers/engine.ts";
import { errorOf, type PeerStage, testPeers } from "../../../helpers/peer_stage.ts";

const NOTHING = new Uint8Array(0);
const LONG = 20_000;

const test = (what: string, run: (stage: PeerStage) => Promise<void>) => testPeers(WORKING, what, run);

const says = (bytes: Uint8Array | string) =>
  typeof bytes === "string" ? framed(new TextEncoder().encode(bytes)) : bytes;

function framed(json: Uint8Array): Uint8Array {
  const message = new Uint8Array(4 + json.length);
  new DataView(message.buffer).setUint32(0, json.length);
  message.set(json, 4);
  return message;
}

const LENGTH_TOO_MUCH = Uint8Array.from([1, 0, 0, 1]);
const NO_UTF8 = framed(Uint8Array.from([0xff, 0xfe]));

for (
  const nonsense of [
    "",
    "{",
    "null",
    "[]",
    "1",
    "{}",
    '{"error":5}',
    '{"value":1,"error":"x"}',
    LENGTH_TOO_MUCH,
    NO_UTF8,
  ]
) {
  test(`an answer that is none (${nonsense}) loses the connection`, async ({ stage }) => {
    const [near, far] = await stage.pair();
    const requests = new Requests(near, NOTHING);
    const asked = errorOf(requests.ask("watch", 1, LONG));
    await far.read(new Uint8Array(100));
    await writeAll(far, says(nonsense));
    assert((await asked) instanceof NoAnswer);
    assert.match(await requests.lost, /answer to watch that is none|no JSON|at most/);
    assert.equal((await readToEnd(far)).length, 0);
  });
}

for (const nonsense of ["", "{", "null", "[]", "1", '{"method":5}', "{}", LENGTH_TOO_MUCH, NO_UTF8]) {
  test(`a request that is none (${nonsense}) ends its connection`, async ({ stage }) => {
    const [near, far] = await stage.pair();
    const served = errorOf(serveRequests(far, NOTHING, () => Promise.reject(new Error("never asked"))));
    await writeAll(near, says(nonsense));
    assert.match(String(await served), /a request that is none|no JSON|at most/);
    assert.equal((await readToEnd(near)).length, 0);
  });
}

test("a request that breaks off ends its connection", async ({ stage }) => {
  for (const count of [1, 4, 10]) {
    const [near, far] = await stage.pair();
    const served = errorOf(serveRequests(far, NOTHING, () => Promise.resolve()));
    await writeAll(near, messageOf({ method: "watch" }, 100).subarray(0, count));
    await near.closeWrite();
    assert.match(String(await served), /broke off/);
    near.close();
  }
});

test("what came with the handshake is heard first, however it is cut", async ({ stage }) => {
  const asks = [1, 2, 3].map((args) => messageOf({ method: "watch", args }, 100));
  const all = Uint8Array.from(asks.flatMap((bytes) => [...bytes]));
  for (const cut of [0, 1, 4, 5, asks[0]!.length, asks[0]!.length + 2, all.length]) {
    const [near, far] = await stage.pair();
    const heard: unknown[] = [];
    const served = serveRequests(far, all.slice(0, cut), (_method, args) => {
      heard.push(args);
      return Promise.resolve(args);
    });
    for (const byte of all.subarray(cut)) await writeAll(near, Uint8Array.of(byte));
    await near.closeWrite();
    const answers = await readToEnd(near);
    await served;
    assert.deepEqual(heard, [1, 2, 3]);
    const requests = new MessageReader(near, answers, 100);
    for (const value of heard) assert.deepEqual(await requests.next(), { value: { value } });
    assert.equal(await requests.next(), undefined);
  }
});

Deno.test("a peer that says that much is to come makes us hold no more than twice what has come", async () => {
  let [sent, most] = [0, 0];
  const link: Pick<Link, "read"> = {
    read(buffer) {
      most = Math.max(most, buffer.byteOffset + buffer.length);
      if (sent === 0) buffer.set([0, 255, 255, 255]);
      const n = Math.min(buffer.length, sent === 0 ? 4 : 1000);
      sent += n;
      return Promise.resolve(sent > 100_000 ? null : n);
    },
  };
  await assert.rejects(new MessageReader(link as Link, NOTHING, 2 ** 24).next(), /broke off/);
  assert(most >= 100_000 && most <= 200_000 + 4096, `room for ${most} bytes`);
});
