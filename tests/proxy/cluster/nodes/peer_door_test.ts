import assert from "node:assert/strict";
import { writeAll } from "../../../../lib/link/link.ts";
import { answerOf, challenge, verifyHello } from "../../../../lib/proxy/cluster/nodes/hello.ts";
import { greet } from "../../../../lib/proxy/cluster/nodes/peer_door.ts";
import { encodeRecord } from "../../../../lib/scp/mod.ts";
import { readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { deadAddress } from "../../../helpers/dead_address.ts";
import { WORKING } from "../../../helpers/engine.ts";
import { descriptorsOf, untilDescriptors } from "../../../helpers/accepted.ts";
import {
  assertFault,
  assertRefused,
  contentOf,
  EDGE,
  errorOf,
  forwarding,
  greeting,
  met,
  NODE,
  PEER_OPTIONS,
  PeerStage,
  testPeers,
} from "../../../helpers/peer_stage.ts";
import { pattern } from "../../../helpers/random.ts";

const test = (what: string, run: (stage: PeerStage) => Promise<void>) => testPeers(WORKING, what, run);

/** Options with those secrets. */
const knowing = (...secrets: string[]) => ({ options: { ...PEER_OPTIONS, secrets } });

test("two peers learn of each other, and their connection goes on with what comes next", async (stage) => {
  const { dialled, greeted } = met(await stage.meet());
  assert.deepEqual(dialled.from, NODE);
  assert.deepEqual({ from: greeted.from, to: greeted.to, kind: greeted.kind }, {
    from: EDGE,
    to: { slot: 3, epoch: 7 },
    kind: "carry",
  });
  assert.deepEqual([dialled.v, greeted.v], [1, 1]);
  assert.equal(dialled.rest.length + greeted.rest.length, 0);
  for (const [from, to] of [[dialled.link, greeted.link], [greeted.link, dialled.link]] as const) {
    await writeAll(from, pattern(0, 1000));
    assertSameBytes(await readExactly(to, 1000), pattern(0, 1000));
  }
});

test("what a peer says right after its part of the handshake is not lost", async (stage) => {
  const dialling = stage.dial();
  const link = await stage.accept();
  const said: Uint8Array[] = [];
  const greeted = await greet({
    ...forwarding(link),
    write: (bytes) => said.push(bytes.slice()) === 1 ? link.write(bytes) : Promise.resolve(bytes.length),
  }, greeting());
  await writeAll(link, Uint8Array.from([...said[1]!, ...pattern(0, 100)]));
  assertSameBytes((await dialling).rest, pattern(0, 100));
  greeted.link.close();
});

test("an address of its own, and a node without a slot, are told", async (stage) => {
  const addr = { hostname: "node-3.example", port: 1250 };
  const { dialled, greeted } = met(
    await stage.meet({ identity: () => ({ ...EDGE, addr }), to: {}, kind: "watch" }, { owns: () => false }),
  );
  assert.deepEqual(greeted.from, { ...EDGE, addr });
  assert.deepEqual([greeted.to, greeted.kind, dialled.from], [{}, "watch", NODE]);
});

test("who is asked for another slot, or epoch, says so, and it is believed", async (stage) => {
  assertRefused(await stage.meet({ to: { slot: 4, epoch: 7 } }), "elsewhere", /slot 4 is another node's/);
  assertRefused(await stage.meet({ to: { slot: 4 } }), "elsewhere", /slot 4 is another node's/);
  assertRefused(await stage.meet({ to: { slot: 3, epoch: 6 } }), "gone", /epoch 6 of slot 3 is no more/);
  met(await stage.meet({ to: { slot: 3 } }));
  const owns = (slot: number, epoch = 9) => slot === 5 && epoch === 9;
  met(await stage.meet({ to: { slot: 5, epoch: 9 } }, { owns })); // which it had, before it had to take 3
});

test("a node that dials itself is told so", async (stage) => {
  assertRefused(await stage.meet({ identity: () => NODE }), "self", /one process/);
});

test("peers of another cluster, or layout, refuse each other, and both know why", async (stage) => {
  const withOptions = (change: object) => ({ options: { ...PEER_OPTIONS, ...change } });
  assertRefused(await stage.meet(withOptions({ name: "test" })), "rejected", /cluster is "game" .* and "test"/);
  assertRefused(await stage.meet(withOptions({ slots: 32 })), "rejected", /number of slots is 64 .* and 32/);
  assertRefused(await stage.meet(withOptions({ threads: 8 })), "rejected", /number of threads is 16 .* and 8/);
});

test("peers with other secrets refuse each other, and both know why", async (stage) => {
  for (const [ours, theirs] of [["one", "another"], ["one", "One"], ["one", ""]] as const) {
    assertRefused(await stage.meet(knowing(ours), knowing(theirs)), "rejected", /none of the secrets/);
  }
});

test("a secret is changed node by node, while all go on", async (stage) => {
  const steps = [["old"], ["old", "new"], ["new", "old"], ["new"]];
  for (const [at, ours] of steps.entries()) {
    for (const theirs of steps.slice(Math.max(at - 1, 0), at + 2)) {
      met(await stage.meet(knowing(...ours), knowing(...theirs)));
    }
  }
  assertRefused(await stage.meet(knowing("old"), knowing("new")), "rejected", /none of the secrets/);
});

test("without TLS and without a secret nobody is dialled, and nobody let in", async (stage) => {
  const accepting = stage.accept();
  assertFault(await errorOf(stage.dial(knowing())), "rejected", /neither cluster\.tls nor cluster\.secrets/);
  assertFault(await errorOf(greet(await accepting, greeting(knowing()))), "rejected", /neither cluster\.tls/);
});

test("a peer of version 2 that is dialled is spoken to in version 1", async (stage) => {
  const dialling = stage.dial();
  const newer = await stage.accept();
  const said = JSON.stringify({ ...JSON.parse(challenge()), v: 2, something: "new" });
  await writeAll(newer, encodeRecord(said));
  const hello = await contentOf(newer);
  const verdict = verifyHello(said, hello, PEER_OPTIONS, { identity: NODE, owns: () => true });
  await writeAll(newer, encodeRecord(answerOf(said, hello, verdict, NODE)));
  assert.deepEqual([verdict.refusal, (await dialling).v], [undefined, 1]);
});

test("who is refused is told apart from who does not answer, and from what has no address", async (stage) => {
  const [hostname, port] = deadAddress().split(":") as [string, string];
  assertFault(await errorOf(stage.dial({ addr: { hostname, port: Number(port) } })), "refused", /./);
  const named = (lookup: () => Promise<string[]>) =>
    errorOf(stage.dial({ addr: { hostname: "node-3.example", port: Number(port) }, lookup }));
  assertFault(await named(() => Promise.resolve([hostname, deadAddress().split(":")[0]!])), "refused", /./);
  assertFault(await named(() => Promise.reject(new Error("no such name"))), "unreachable", /no such name/);
  assertFault(await named(() => Promise.resolve([])), "unreachable", /no address/);
});

test("who says nothing is given up in time, and when it is no longer wanted", async (stage) => {
  const silent = errorOf(stage.dial({ timeout: 20 }));
  const far = await stage.accept();
  assertFault(await silent, "unreachable", /within 20 ms/);
  assert.match(new TextDecoder().decode(await readToEnd(far)), /without TLS$/);
  const abort = new AbortController();
  const given = errorOf(stage.dial({ signal: abort.signal }));
  const other = await stage.accept();
  abort.abort();
  assertFault(await given, "unreachable", /given up/);
  assert.equal((await readToEnd(other)).length, 0);
  assertFault(await errorOf(stage.dial({ signal: AbortSignal.abort() })), "unreachable", /given up/);
});

test("a name of which one address refuses, and one cannot be reached, does not refuse", async (stage) => {
  const [hostname, port] = deadAddress().split(":") as [string, string];
  // A link-local address is none without an interface.
  for (const ips of [[hostname, "fe80::1"], ["fe80::1", hostname]]) {
    const addr = { hostname: "node-3.example", port: Number(port) };
    assertFault(await errorOf(stage.dial({ addr, lookup: () => Promise.resolve(ips) })), "unreachable", /fe80/);
  }
});

for (const name of WORKING) {
  Deno.test(`nothing is left open by peers that were refused, gave up, or met, over ${name}`, async () => {
    await using stage = new PeerStage(name);
    met(await stage.meet()); // what is made once is there
    const before = descriptorsOf();
    await using again = new PeerStage(name);
    const withStage = descriptorsOf();
    for (let round = 0; round < 5; round++) {
      assertRefused(await again.meet(knowing("another")), "rejected", /none/);
      assertRefused(await again.meet({ to: { slot: 4 } }), "elsewhere", /./);
      const silent = errorOf(again.dial({ timeout: 5 }));
      (await again.accept()).close();
      await silent;
      const [near, far] = await again.stage.pair();
      await errorOf(greet(far, greeting({ timeout: 5 })));
      near.close();
    }
    await untilDescriptors(withStage);
    assert(withStage > before);
  });
}
