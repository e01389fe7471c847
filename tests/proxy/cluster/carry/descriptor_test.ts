/** Connections that are given from one thread to another as descriptors. */
import assert from "node:assert/strict";
import type { EngineName } from "../../../../lib/config/engines.ts";
import type { AcceptedLink } from "../../../../lib/link/engine/engine.ts";
import { formatEndpoint, writeAll } from "../../../../lib/link/link.ts";
import type { TcpLink } from "../../../../lib/link/tcp.ts";
import { MOST_OFFERS } from "../../../../lib/proxy/cluster/carry/offers.ts";
import { ScpError } from "../../../../lib/scp/mod.ts";
import { accepted, descriptorsOf, untilDescriptors } from "../../../helpers/accepted.ts";
import { readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { engineOf, NATIVE } from "../../../helpers/engine.ts";
import { ownerAt, Peers, PREFACE, SECRET } from "../../../helpers/peers.ts";
import { pattern } from "../../../helpers/random.ts";
import { record, tcp } from "../../../helpers/raw_client.ts";
import { turn } from "../../../helpers/turns.ts";

const NOTHING = new Uint8Array(0);

interface Stage {
  peers: Peers;
  /** A client of the first of them. */
  client: TcpLink;
  near: AcceptedLink;
  /** How often that one has closed it. */
  closes: () => number;
  /** Has it given to the second. */
  carry: () => Promise<void>;
}

function test(what: string, run: (stage: Stage) => Promise<void>, options: { offerTimeout?: number } = {}): void {
  for (const name of NATIVE) Deno.test(`${name}: ${what}`, () => runOver(name, run, options));
}

async function runOver(
  name: EngineName,
  run: (stage: Stage) => Promise<void>,
  options: { offerTimeout?: number },
): Promise<void> {
  const peers = new Peers(2, { ...options, open: () => engineOf(name) });
  const before = descriptorsOf();
  const [client, near] = await accepted(peers.engines[0]!);
  let closes = 0;
  near.onClose = () => closes++;
  const carry = () => peers.all[0]!.carry(near, ownerAt(1), PREFACE, pattern(0, 100));
  await run({ peers, client, near, closes: () => closes, carry });
  client.close();
  // What listens is closed too.
  await peers.stop();
  await untilDescriptors(before - 6);
}

const refused = (error: unknown) => error instanceof ScpError && error.code === 501;

/** Waits until it is on offer, and the letter is written. */
async function offered({ near }: Stage): Promise<void> {
  while (await near.write(NOTHING).then(() => true, () => false)) await turn();
}

async function assertJoined(client: TcpLink, link: AcceptedLink | Parameters<typeof readExactly>[0]): Promise<void> {
  await writeAll(client, pattern(1, 50_000));
  assertSameBytes(await readExactly(link, 50_000), pattern(1, 50_000));
  await Promise.all([writeAll(link as AcceptedLink, pattern(2, 500_000)), readExactly(client, 500_000)])
    .then(([, bytes]) => assertSameBytes(bytes, pattern(2, 500_000)));
}

test("a socket is given to its owner by its descriptor, and nothing is carried", async ({ peers, client, closes, carry }) => {
  const before = descriptorsOf();
  const taken = peers.take(1);
  await carry();
  const { link, preface, rest } = await taken;
  await untilDescriptors(before, "as the connection of the letter is closed, and no other is there");
  assert.deepEqual(preface, PREFACE);
  assertSameBytes(rest, pattern(0, 100));
  await assertJoined(client, link);
  // Whoever gave it has nothing to do with it any more.
  await peers.stopOne(0);
  await assertJoined(client, link);
  client.close();
  assert.equal(await link.read(new Uint8Array(1)), null);
  assert.equal(peers.closes[1], 0);
  link.close();
  assert.deepEqual([closes(), ...peers.closes], [0, 0, 1]);
});

test("a peer that closes the letter has not taken what it offers: the giver has it", async (stage) => {
  const { peers, client, near, closes } = stage;
  peers.accept(1, (link) => link.close());
  await assert.rejects(stage.carry(), refused);
  await assertJoined(client, near);
  assert.equal(closes(), 0);
  near.close();
  assert.deepEqual([closes(), ...peers.closes], [1, 0, 0]);
});

test("a peer that stops before it has read the letter has not taken it", async (stage) => {
  const { peers, client, near } = stage;
  const carrying = stage.carry();
  await offered(stage);
  await Promise.all([peers.stopOne(1), assert.rejects(carrying, refused)]);
  await assertJoined(client, near);
  near.close();
});

test("a peer that is hung is given up, and takes nothing when it goes on", async (stage) => {
  const { peers, client, near } = stage;
  await assert.rejects(stage.carry(), refused);
  await assertJoined(client, near);
  await assert.rejects(peers.take(1), /the peer has taken back what it offered/);
  await assertJoined(client, near);
  near.close();
  assert.deepEqual(peers.closes, [0, 0]);
}, { offerTimeout: 10 });

test("a giver that stops has back what nobody has taken", async (stage) => {
  const { peers, client, near } = stage;
  const carrying = stage.carry();
  await offered(stage);
  await Promise.all([peers.stopOne(0), assert.rejects(carrying, refused)]);
  await assertJoined(client, near);
  near.close();
}, { offerTimeout: 2 ** 30 });

test("what is closed while it is on offer is the owner's, who takes it", async (stage) => {
  const { peers, client, near, closes } = stage;
  const carrying = stage.carry();
  await offered(stage);
  near.close();
  const { link } = await peers.take(1);
  await carrying;
  await assertJoined(client, link);
  link.close();
  assert.deepEqual([closes(), ...peers.closes], [0, 0, 1]);
});

test("what is closed while it is on offer, and not taken, is closed then", async (stage) => {
  const { peers, client, near, closes } = stage;
  const carrying = stage.carry();
  await offered(stage);
  near.close();
  assert.equal(closes(), 0);
  await Promise.all([peers.stopOne(1), assert.rejects(carrying, refused)]);
  assert.equal(closes(), 1);
  assert.equal(await client.read(new Uint8Array(1)), null);
});

test("what is closed before it is offered stays so", async ({ peers, near, closes, carry }) => {
  near.close();
  void peers.take(1).catch(() => {});
  await assert.rejects(carry(), refused);
  assert.deepEqual([closes(), ...peers.closes], [1, 0, 0]);
});

test("a client that goes away while it is on offer is noticed by the owner", async (stage) => {
  const { peers, client } = stage;
  const carrying = stage.carry();
  await offered(stage);
  await writeAll(client, pattern(1, 100));
  client.close();
  const { link } = await peers.take(1);
  await carrying;
  assertSameBytes(await readToEnd(link), pattern(1, 100));
  link.close();
});

test("what is offered is not taken before all is there that was read from it", async ({ peers, near }) => {
  const taken = peers.take(1);
  const peer = await tcp(formatEndpoint(peers.addresses[1]!));
  assert.equal(peers.offers.make(0, 5), true);
  const letter = { ...PREFACE, by: 0, number: 5, offer: { fd: -1, read: 100 } };
  await writeAll(peer, Uint8Array.from([...record(SECRET + JSON.stringify(letter)), ...pattern(0, 99)]));
  await peer.closeWrite();
  await assert.rejects(taken, /the peer broke off/);
  assert.equal(peers.offers.take(0, 5), true);
  peer.close();
  near.close();
});

test("a connection is carried while there is no room for its offer", async ({ peers, client, carry }) => {
  assert.equal(peers.offers.make(0, 1 + MOST_OFFERS), true);
  const taken = peers.take(1);
  await carry();
  const { link, rest } = await taken;
  assertSameBytes(await readExactly(link, 100 - rest.length), pattern(0, 100).subarray(rest.length));
  await assertJoined(client, link);
  link.close();
  client.close();
  assert.deepEqual(peers.closes, [0, 0]);
});

test("many go at once, and back", async ({ peers, near }) => {
  near.close();
  const rounds = Array.from({ length: 50 }, async (_, round) => {
    const [client, link] = await accepted(peers.engines[round % 2]!);
    // Not by their ports: two that go to different addresses may have the same.
    return { client, link, from: round % 2, remote: { hostname: "192.0.2.1", port: round } };
  });
  const arrived = new Map<number, AcceptedLink>();
  const done = Promise.withResolvers<void>();
  for (const index of peers.all.keys()) {
    peers.accept(index, async (link, read) => {
      const { preface } = await read();
      arrived.set(preface.remote.port, link as AcceptedLink);
      if (arrived.size === rounds.length) done.resolve();
    });
  }
  const all = await Promise.all(rounds);
  const before = descriptorsOf();
  await Promise.all(
    all.map(({ link, from, remote }) =>
      peers.all[from]!.carry(link, ownerAt(1 - from), { ...PREFACE, remote }, NOTHING)
    ),
  );
  await done.promise;
  await untilDescriptors(before);
  await Promise.all(all.map(({ client, remote }) => assertJoined(client, arrived.get(remote.port)!)));
  for (const { client, remote } of all) {
    client.close();
    arrived.get(remote.port)!.close();
  }
  assert.deepEqual(peers.closes, [25, 25]);
});
