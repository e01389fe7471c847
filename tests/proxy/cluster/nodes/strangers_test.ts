import assert from "node:assert/strict";
import { writeAll } from "../../../../lib/link/link.ts";
import { greet } from "../../../../lib/proxy/cluster/nodes/peer_door.ts";
import { encodeRecord, MAX_RECORD } from "../../../../lib/scp/mod.ts";
import { readToEnd } from "../../../helpers/backend.ts";
import { WORKING } from "../../../helpers/engine.ts";
import {
  assertFault,
  contentOf,
  errorOf,
  forwarding,
  greeting,
  NODE,
  PeerStage,
  testPeers,
} from "../../../helpers/peer_stage.ts";

const test = (what: string, run: (stage: PeerStage) => Promise<void>) => testPeers(WORKING, what, run);

/** Has a peer dial the node, and gives all that each end has written. */
async function recorded(stage: PeerStage): Promise<{ dialling: Uint8Array[]; dialled: Uint8Array[] }> {
  const [dialling, dialled]: Uint8Array[][] = [[], []];
  const dial = stage.dial();
  const link = await stage.accept();
  const greeted = await greet({
    ...forwarding(link),
    async read(buffer) {
      const n = await link.read(buffer);
      dialling!.push(buffer.slice(0, n ?? 0));
      return n;
    },
    write(bytes) {
      dialled!.push(bytes.slice());
      return link.write(bytes);
    },
  }, greeting());
  (await dial).link.close();
  greeted.link.close();
  return { dialling: dialling!, dialled: dialled! };
}

test("a hello that was recorded is good for nothing", async (stage) => {
  const { dialling } = await recorded(stage);
  const [raw, link] = await stage.stage.pair();
  const greeted = errorOf(greet(link, greeting()));
  await contentOf(raw);
  for (const bytes of dialling) await writeAll(raw, bytes);
  assertFault(await greeted, "rejected", /none of the secrets/);
  const [mac, json] = (await contentOf(raw)).split("\n");
  assert.equal(mac, "");
  assert.equal(JSON.parse(json!).ok, false);
  assert.equal(await raw.read(new Uint8Array(1)), null);
});

test("what a node said once is good for nothing to another that says the same", async (stage) => {
  const { dialled } = await recorded(stage);
  const dialling = errorOf(stage.dial());
  const stranger = await stage.accept();
  for (const bytes of dialled) await writeAll(stranger, bytes);
  assertFault(await dialling, "rejected", /none of our secrets/);
});

test("a node whose own words are brought to it by another does not take that for a peer", async (stage) => {
  const dialling = errorOf(stage.dial({ identity: () => NODE }));
  const stranger = await stage.accept();
  const [near, far] = await stage.stage.pair();
  const greeted = errorOf(greet(far, greeting()));
  await writeAll(stranger, encodeRecord(await contentOf(near)));
  await writeAll(near, encodeRecord(await contentOf(stranger)));
  assertFault(await greeted, "self", /one process/);
  await writeAll(stranger, encodeRecord(await contentOf(near)));
  assertFault(await dialling, "self", /one process/);
});

test("two openings of one node that are put together are both refused", async (stage) => {
  const [one, other] = await stage.stage.pair();
  const errors = await Promise.all([one, other].map((link) => errorOf(greet(link, greeting()))));
  for (const error of errors) assertFault(error, "rejected", /none of the secrets/);
});

test("a challenge that is given back as a hello, and a hello as an answer, are refused", async (stage) => {
  const [near, far] = await stage.stage.pair();
  const greeted = errorOf(greet(far, greeting()));
  await writeAll(near, encodeRecord(await contentOf(near)));
  assertFault(await greeted, "rejected", /none of the secrets/);
  const dialling = errorOf(stage.dial());
  const stranger = await stage.accept();
  await writeAll(stranger, encodeRecord(JSON.stringify({ v: 1, nonce: `${"A".repeat(43)}=` })));
  await writeAll(stranger, encodeRecord(await contentOf(stranger)));
  assertFault(await dialling, "rejected", /no answer of a peer/);
});

test("a stranger that is silent, or stops in the middle, is cut when its time is over", async (stage) => {
  const hello = encodeRecord("a hello that never comes to its end");
  for (const said of [0, 1, 2, 10]) {
    const [near, far] = await stage.stage.pair();
    await writeAll(near, hello.subarray(0, said));
    assertFault(await errorOf(greet(far, greeting({ timeout: 20 }))), "unreachable", /within 20 ms/);
    assert.equal((await readToEnd(near)).length < 100, true);
  }
});

test("a stranger that goes in the middle is known to have gone", async (stage) => {
  for (const said of [0, 1, 2, 10]) {
    for (const how of ["closeWrite", "close"] as const) {
      const [near, far] = await stage.stage.pair();
      const greeted = errorOf(greet(far, greeting()));
      await contentOf(near);
      await writeAll(near, encodeRecord("a hello that never comes to its end").subarray(0, said));
      await near[how]();
      assertFault(await greeted, "unreachable", /closed the connection/);
    }
    const [near, far] = await stage.stage.pair();
    const greeted = errorOf(greet(far, greeting()));
    near.reset();
    assertFault(await greeted, "unreachable", /./);
  }
});

test("a stranger that says no record, or no hello, is no peer", async (stage) => {
  const long = encodeRecord("x".repeat(MAX_RECORD + 1));
  for (const garbage of [new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"), long]) {
    const [near, far] = await stage.stage.pair();
    const greeted = errorOf(greet(far, greeting()));
    await contentOf(near);
    await writeAll(near, garbage);
    assertFault(await greeted, "rejected", /a handshake record of \d+ bytes/);
  }
  const [near, far] = await stage.stage.pair();
  const greeted = errorOf(greet(far, greeting()));
  await contentOf(near);
  await writeAll(near, encodeRecord("x".repeat(MAX_RECORD)));
  assertFault(await greeted, "rejected", /none of the secrets/);
});

test("who is dialled and is no peer is found out", async (stage) => {
  const says = async (bytes: Uint8Array) => {
    const dialling = errorOf(stage.dial());
    const stranger = await stage.accept();
    await writeAll(stranger, bytes);
    await stranger.closeWrite();
    return await dialling;
  };
  assertFault(await says(new Uint8Array(0)), "unreachable", /closed the connection/);
  assertFault(await says(encodeRecord("half").subarray(0, 4)), "unreachable", /closed the connection/);
  assertFault(await says(new TextEncoder().encode("SSH-2.0-x\r\n")), "rejected", /a handshake record of \d+ bytes/);
  assertFault(await says(encodeRecord("{}")), "rejected", /no challenge of a peer/);
  assertFault(await says(encodeRecord('{"v":0,"nonce":"' + "A".repeat(43) + '="}')), "rejected", /version is 0/);
});
