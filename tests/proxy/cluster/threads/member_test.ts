import assert from "node:assert/strict";
import { formatEndpoint, type Via } from "../../../../lib/link/link.ts";
import { layoutOf, type Owner } from "../../../../lib/proxy/owner.ts";
import { SessionIds } from "../../../../lib/proxy/session/session_ids.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { ownDescriptors } from "../../../helpers/own_descriptors.ts";
import { pattern } from "../../../helpers/random.ts";
import { ask, RawClient } from "../../../helpers/raw_client.ts";
import { TestNode } from "../../../helpers/test_node.ts";
import { freePort } from "../../../helpers/free_port.ts";
import { stalled, turn, until } from "../../../helpers/turns.ts";

const QUICK = { shutdown_timeout: "10ms" };

/** An id of a session of that owner. */
function idOf(owner: Owner): number {
  return new SessionIds(1n, owner, layoutOf({ slots: 64, threads: 16 })).next();
}

/** What a resume of a session of that owner is answered. */
async function answerTo(address: string, owner: Owner): Promise<string> {
  const { link, answer } = await ask(address, `${idOf(owner)}\n1\n0\nAAAAAAAAAAA=`);
  link.close();
  return answer;
}

Deno.test("a resume that reaches another node goes on with the owner, in either version, and no byte is lost", async () => {
  await using one = new TestNode(1, QUICK);
  await using two = new TestNode(2, QUICK);
  two.know([one.view]);
  using acked = await AckedClient.open(one.address);
  using raw = await RawClient.open(one.address);
  // What comes before the resume is what was on its way.
  await acked.send(pattern(1, 100_000));
  await raw.send(pattern(2, 1000));
  acked.address = raw.address = two.address;
  await Promise.all([acked.resume(), raw.resume()]);
  await acked.send(pattern(3, 100_000));
  assertSameBytes(await acked.receive(100_000), pattern(1, 100_000));
  assertSameBytes(await acked.receive(100_000), pattern(3, 100_000));
  assertSameBytes(await raw.receive(1000), pattern(2, 1000));
  assert.equal(two.carrying, 2);
  const { sessions } = await one.proxy.sessions({ limit: 10 });
  assert.deepEqual(sessions.map(({ via, client }) => [via, client.split(":")[0]]), [
    ["instance-2", "127.0.0.1"],
    ["instance-2", "127.0.0.1"],
  ]);
  // And back, where nobody carries it.
  acked.address = one.address;
  await acked.resume();
  assert.equal((await one.proxy.session(acked.id))!.via, undefined);
});

Deno.test("an edge begins sessions with a node that serves their targets, and carries their resumes", async () => {
  await using one = new TestNode(1, QUICK);
  await using two = new TestNode(2, QUICK);
  await using edge = new TestNode(undefined, QUICK);
  edge.know([{ ...one.view, serves: ["^lobby$"] }, { ...two.view, serves: ["^game_.*"] }]);
  using acked = await AckedClient.open(edge.address, { target: "game_7" });
  using raw = await RawClient.open(edge.plainAddress, { target: "lobby", dialect: "plain" });
  assert.deepEqual([await one.proxy.session(raw.id), await two.proxy.session(acked.id)].map((found) => found?.via), [
    edge.identities.own.instance,
    edge.identities.own.instance,
  ]);
  await acked.send(pattern(1, 300_000));
  assertSameBytes(await acked.receive(300_000), pattern(1, 300_000));
  await Promise.all([acked.resume(), raw.resume()]);
  await raw.send(pattern(2, 1000));
  assertSameBytes(await raw.receive(1000), pattern(2, 1000));
  const refused = await ask(edge.address, "0\n782riWdFIwE=\nshop\n0");
  refused.link.close();
  assert.equal(refused.answer, "0\n501");
  assert.equal((await edge.proxy.snapshot()).stats.refused.no_node, 1);
});

/** The timer that the system has for the end of a connection of this machine that is at `local`; 2: keepalive. */
function timerAt(local: number, remote: number): string | undefined {
  const at = (port: number) => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = Deno.readTextFileSync("/proc/net/tcp").split("\n").map((line) => line.trim().split(/\s+/));
  return lines.find(([, from, to]) => from === at(local) && to === at(remote))?.[5]?.slice(0, 2);
}

Deno.test({
  name: "a node has its system look whether those that connected to its address for peers are there still",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using node = new TestNode(1, QUICK);
    using stranger = await Deno.connect(node.addr);
    await stranger.read(new Uint8Array(1000));
    const timer = () => timerAt(node.addr.port, (stranger.localAddr as Deno.NetAddr).port);
    // What it has sent is acknowledged by then.
    await until(() => timer() !== "01", () => "what was read is not acknowledged");
    assert.equal(timer(), "02");
  },
});

Deno.test("strangers keep no peer out, however many they are: those that wait longest go", async () => {
  await using one = new TestNode(1, QUICK);
  await using two = new TestNode(2, QUICK);
  two.know([one.view]);
  using strangers = new DisposableStack();
  const first = strangers.use(await Deno.connect(one.addr));
  for (let i = 1; i < 256; i++) strangers.use(await Deno.connect(one.addr));
  using acked = await AckedClient.open(one.address);
  acked.address = two.address;
  await acked.resume();
  await first.readable.pipeTo(new WritableStream());
  assert.equal((await one.log.nth("peer refused")).reason, "too many have not shown who they are");
});

Deno.test("as long as nobody has told which nodes there are, a resume of another one's session may be tried again", async () => {
  await using here = new TestNode(0, QUICK);
  const owner = { slot: 1, epoch: 0, thread: 0 };
  assert.equal(await answerTo(here.address, owner), "0\n501");
  here.know([]);
  assert.equal(await answerTo(here.address, owner), "0\n501", "one that has just begun may be heard of yet");
});

Deno.test("a resume whose owner is not there is answered by what is known of it, and only strangers are guessing", async () => {
  await using one = new TestNode(1, QUICK);
  await using other = new TestNode(2, { ...QUICK, cluster: { secrets: ["another secret here"] } });
  await using here = new TestNode(0, { ...QUICK, limits: { resume_failures_per_ip: 2 } });
  const nobody = { hostname: "127.0.0.1", port: freePort() };
  here.know([
    one.view,
    { ...one.view, slot: 3, epoch: 6, addr: nobody },
    { ...one.view, slot: 4, epoch: 6, addr: nobody, state: "refused" },
    // Of which nothing is known but the address.
    { slot: 5, addr: one.addr, state: "unknown", since: 0, takesNew: false, serves: [], weight: 1 },
    other.view,
    { slot: 7, addr: other.addr, state: "refused", since: 0, takesNew: false, serves: [], weight: 1 },
  ]);
  const cases: [Owner, string][] = [
    // The epoch of slot 1 is 5, of which ids have 1.
    [{ thread: 0, slot: 1, epoch: 0 }, "0\n404"],
    [{ thread: 0, slot: 3, epoch: 6 }, "0\n404"],
    [{ thread: 0, slot: 4, epoch: 6 }, "0\n404"],
    [{ thread: 0, slot: 5, epoch: 1 }, "0\n404"],
    [{ thread: 0, slot: 0, epoch: 6 }, "0\n404"],
    // It does not take this one for a peer, so nothing is known.
    [{ thread: 0, slot: 2, epoch: 5 }, "0\n501"],
    [{ thread: 0, slot: 2, epoch: 5 }, "0\n501"],
    // Nor is it for sessions that are over, whoever may be there.
    [{ thread: 0, slot: 7, epoch: 5 }, "0\n404"],
  ];
  for (const [owner, answer] of cases) assert.equal(await answerTo(here.address, owner), answer, JSON.stringify(owner));
  assert.equal((await here.proxy.snapshot()).stats.refused.resume_failures_per_ip, 0);
  // There is no such slot, as far as is known now; and no such session of this node.
  assert.equal(await answerTo(here.address, { thread: 0, slot: 6, epoch: 0 }), "0\n501");
  assert.equal(await answerTo(here.address, { thread: 0, slot: 0, epoch: 5 }), "0\n404");
  assert.equal(await answerTo(here.address, { thread: 0, slot: 0, epoch: 5 }), "0\n404");
  assert.equal(await answerTo(here.address, { thread: 0, slot: 0, epoch: 5 }), "0\n501");
  assert.equal((await here.proxy.snapshot()).stats.refused.resume_failures_per_ip, 1);
  await other.log.nth("peer refused");
});

Deno.test("a wrong resume that is carried counts as guessing where its session would be", async () => {
  await using one = new TestNode(1, { ...QUICK, limits: { resume_failures_per_ip: 1 } });
  await using two = new TestNode(2, QUICK);
  two.know([one.view]);
  const owner = { thread: 0, slot: 1, epoch: 5 };
  assert.equal(await answerTo(two.address, owner), "0\n404");
  assert.equal(await answerTo(two.address, owner), "0\n501");
});

Deno.test("what is carried is never carried on", async () => {
  await using one = new TestNode(1, QUICK);
  await using two = new TestNode(2, QUICK);
  // It takes the first for the owner of a slot which that one knows to be of the second.
  one.know([{ ...two.view, slot: 3 }]);
  two.know([{ ...one.view, slot: 3 }]);
  assert.equal(await answerTo(two.address, { thread: 0, slot: 3, epoch: 5 }), "0\n404");
});

Deno.test("who carries a client is told that its owner has closed the connection, and which one that is", async () => {
  const told: Via[] = [];
  await using one = new TestNode(1, { ...QUICK, tell: (via) => void told.push(via) });
  await using two = new TestNode(2, QUICK);
  two.know([one.view]);
  using acked = await AckedClient.open(one.address);
  acked.address = two.address;
  await acked.resume();
  assert.equal(told.length, 0);
  await acked.resume();
  await one.proxy.endSession(acked.id);
  await acked.ending();
  await until(() => told.length === 2, () => `it was told of ${told.length}`);
  const first = told[0]!.number;
  assert.deepEqual(told.map(({ instance, thread, number }) => [instance, thread, number]), [
    ["instance-2", 0, first],
    ["instance-2", 0, first + 1],
  ]);
});

Deno.test("a connection counts as closed where it was accepted, not where it was carried to", async () => {
  const told: Via[] = [];
  await using one = new TestNode(1, { ...QUICK, tell: (via) => void told.push(via) });
  await using two = new TestNode(2, QUICK);
  two.know([one.view]);
  using acked = await AckedClient.open(one.address);
  acked.address = two.address;
  await acked.resume();
  await one.proxy.endSession(acked.id);
  await acked.ending();
  await until(() => told.length === 1 && two.carrying === 0, () => "it is still carried");
  const counts = await Promise.all([one, two].map(async ({ proxy }) => (await proxy.snapshot()).stats));
  assert.deepEqual(counts.map(({ accepts, closes }) => [accepts, closes]), [[1, 1], [1, 1]]);
});

Deno.test("clients that a process carries are told once to come over another connection, by the owner's public URL where it has one", async () => {
  const listen = [{ tcp: "127.0.0.1:0", public: "tcp://one.example:1248" }, { tcp: "127.0.0.1:0", dialect: "plain" }];
  await using one = new TestNode(1, { ...QUICK, listen });
  await using two = new TestNode(2, QUICK);
  two.know([one.view]);
  using carried = await AckedClient.open(one.address);
  using plain = await AckedClient.open(one.plainAddress, { dialect: "plain" });
  using direct = await AckedClient.open(one.address);
  carried.address = two.address;
  plain.address = two.plainAddress;
  await Promise.all([carried.resume(), plain.resume()]);
  assert.equal(await one.proxy.moveOff("instance-3", 10), 0);
  assert.equal(await one.proxy.moveOff("instance-2", 1), 1);
  assert.equal(await one.proxy.moveOff("instance-2", 10), 1);
  assert.equal(await one.proxy.moveOff("instance-2", 10), 0);
  await Promise.all([carried.until(() => carried.moves.length > 0), plain.until(() => plain.moves.length > 0)]);
  assert.deepEqual([carried.moves, plain.moves, direct.moves], [["tcp://one.example:1248"], [""], []]);
  // Another connection, which is told again.
  await carried.resume();
  assert.equal(await one.proxy.moveOff("instance-2", 10), 1);
});

Deno.test("a node that is another one now gives ids of its new slot, and still owns its old sessions", async () => {
  await using one = new TestNode(1, QUICK);
  await using two = new TestNode(2, QUICK);
  using before = await AckedClient.open(one.address);
  two.know([{ ...one.view }]);
  one.identities.become({ instance: "instance-1", role: "node", slot: 7, epoch: 9 });
  using after = await AckedClient.open(one.address);
  two.know([{ ...one.view }, { ...one.view, slot: 1, epoch: 5 }]);
  for (const client of [before, after]) {
    client.address = two.address;
    await client.resume();
  }
  assert.equal(formatEndpoint(one.addr), formatEndpoint(one.view.addr));
  assert.equal(Math.floor(after.id / 16) % 64, 7);
  assert.equal(Math.floor(before.id / 16) % 64, 1);
});

Deno.test("a node that has paused lets others wait, over what they opened before as well", {
  ignore: Deno.build.os !== "linux" || Deno.env.get("GOSCON_IO") === "deno",
}, async () => {
  await using one = new TestNode(1, QUICK);
  await using two = new TestNode(2, QUICK);
  two.know([one.view]);
  using acked = await AckedClient.open(one.address);
  acked.address = two.address;
  await acked.resume();
  // There are connections that wait for the next.
  await stalled(() => ownDescriptors().size);
  await one.setListening("paused");
  let isBack = false;
  const resumed = acked.resume().then(() => isBack = true);
  for (let turns = 0; turns < 500; turns++) await turn();
  assert(!isBack);
  await one.setListening("on");
  await resumed;
  await acked.send(pattern(1, 1000));
  assertSameBytes(await acked.receive(1000), pattern(1, 1000));
});

Deno.test("a node that listens no more carries nothing to others, and its clients resume elsewhere", async () => {
  await using one = new TestNode(1, QUICK);
  await using two = new TestNode(2, QUICK);
  two.know([one.view]);
  using acked = await AckedClient.open(one.address);
  using raw = await RawClient.open(one.address);
  acked.address = raw.address = two.address;
  await Promise.all([acked.resume(), raw.resume()]);
  assert.equal(two.carrying, 2);
  await two.setListening("off");
  await until(() => two.carrying === 0, () => `${two.carrying} are carried`);
  // What comes to be carried is not, either.
  await assert.rejects(ask(two.address, acked.resumeContent()));
  acked.address = raw.address = one.address;
  await Promise.all([acked.resume(), raw.resume()]);
  for (const client of [acked, raw]) {
    await client.send(pattern(1, 1000));
    assertSameBytes(await client.receive(1000), pattern(1, 1000));
  }
});
