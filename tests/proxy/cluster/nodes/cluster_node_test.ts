import assert from "node:assert/strict";
import { at, ClusterMesh, type Member } from "../../../helpers/cluster_mesh.ts";
import { readNodeSnapshot } from "../../../../lib/proxy/cluster/nodes/node_snapshot.ts";
import { settled, turn } from "../../../helpers/turns.ts";

const ALL = [1, 2, 3];

async function three(mesh: ClusterMesh): Promise<[Member, Member, Member]> {
  const members = [];
  for (const host of ALL) members.push(await mesh.start(`n${host}`, { host, found: ALL, epoch: host }));
  await mesh.pass(6000);
  return members as [Member, Member, Member];
}

Deno.test("cluster node: all nodes know each other, and not themselves", async () => {
  await using mesh = new ClusterMesh();
  const [a, b, c] = await three(mesh);
  assert.deepEqual(a.lines, ["2 2 n2 up new", "3 3 n3 up new"]);
  assert.deepEqual(b.lines, ["1 1 n1 up new", "3 3 n3 up new"]);
  assert.deepEqual(c.lines, ["1 1 n1 up new", "2 2 n2 up new"]);
  assert.deepEqual(a.node.own, { identity: { instance: "n1", slot: 1, epoch: 1 }, former: [], takesNew: true });
  assert.deepEqual([a, b, c].flatMap(({ log }) => log.of("own address not reached")), []);
});

Deno.test("cluster node: what nobody was told of changes nothing for the threads", async () => {
  await using mesh = new ClusterMesh();
  const [a] = await three(mesh);
  const before = a.told;
  await mesh.pass(5000);
  assert.equal(a.told, before);
});

Deno.test("cluster node: one that crashed is refused, and its next life has the next epoch, which others remember", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  await mesh.kill(b);
  await mesh.pass(500);
  assert.deepEqual(a.lines, ["2 2 n2 refused", "3 3 n3 up new"]);
  const next = await mesh.start("next", { host: 2, found: ALL });
  assert.deepEqual(next.node.own.identity, { instance: "next", slot: 2, epoch: 3 });
  await mesh.pass(6000);
  assert.deepEqual(a.lines, ["2 3 next up new", "2 2 n2 refused", "3 3 n3 up new"]);
  await mesh.pass(31_000);
  assert.deepEqual(a.lines, ["2 3 next up new", "3 3 n3 up new"]);
});

Deno.test("cluster node: one that does not answer is away after three seconds, and forgotten after its reuse time", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  b.isMute = true;
  await mesh.pass(2900);
  assert.equal(a.lines[0], "2 2 n2 up new");
  await mesh.pass(1200);
  assert.equal(a.lines[0], "2 2 n2 away");
  await mesh.pass(32_000);
  assert.equal(a.lines[0], "3 3 n3 up new");
  assert.equal(a.lines[1], "2 - - refused", "nobody has a session there any more");
  b.isMute = false;
  await mesh.pass(11_000);
  assert.equal(a.lines[0], "2 2 n2 up new");
});

Deno.test("cluster node: whom the discovery does not know one node learns of from another", async () => {
  await using mesh = new ClusterMesh();
  const a = await mesh.start("a", { host: 1, found: [1, 2], epoch: 1 });
  const b = await mesh.start("b", { host: 2, found: [1, 2], epoch: 1 });
  const c = await mesh.start("c", { host: 3, found: [3], epoch: 1 });
  await mesh.pass(3000);
  assert.deepEqual([a.lines, b.lines, c.lines], [["2 1 b up new"], ["1 1 a up new"], []], "b has not met c");
  b.discovery.onChange([{ slot: 3, addr: at(3) }]);
  await mesh.pass(3000);
  assert.deepEqual(a.lines, ["2 1 b up new", "3 1 c up new"]);
  assert.deepEqual(c.lines, ["1 1 a up new", "2 1 b up new"]);
});

Deno.test("cluster node: where the discovery says that another one is now it is looked for at once", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  await mesh.kill(b);
  await mesh.pass(20_000);
  const next = mesh.add("next", { host: 2, found: ALL });
  await next.node.claim();
  next.isListening = true;
  const { slot, epoch } = next.node.own.identity;
  a.discovery.onChange([{ slot: slot!, epoch: epoch!, instance: "next", addr: at(2) }, { slot: 3, addr: at(3) }]);
  await turn();
  await turn();
  assert.equal(a.lines[0], "2 3 next up new");
});

Deno.test("cluster node: one that asks is looked for at once", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  await mesh.kill(b);
  await mesh.pass(20_000);
  const next = mesh.add("next", { host: 2, found: ALL });
  await next.node.claim();
  next.isListening = true;
  next.node.start();
  for (let i = 0; i < 10; i++) await turn();
  assert.equal(a.lines[0], "2 3 next up new");
});

Deno.test("cluster node: one that asks is known, before the discovery tells of it", async () => {
  await using mesh = new ClusterMesh();
  const a = await mesh.start("a", { host: 1, found: [1] });
  const next = mesh.add("next", { host: 2, found: [1] });
  await next.node.claim();
  next.isListening = true;
  next.node.start();
  for (let i = 0; i < 10; i++) await turn();
  assert.deepEqual(a.lines, ["2 1 next up new"]);
  await mesh.pass(2000);
  await mesh.kill(next);
  await mesh.pass(40_000);
  assert.deepEqual(a.lines, []);
});

Deno.test("cluster node: it has a slot within a second, whether others answer, and whether the discovery says where they are", async () => {
  for (const found of [[1, 2], undefined]) {
    await using mesh = new ClusterMesh();
    const mute = await mesh.start("mute", { host: 2, found: [2] });
    mute.isMute = true;
    const a = mesh.add("a", { host: 1, ...(found && { found }) });
    const claiming = a.node.claim();
    await mesh.pass(900);
    assert.equal(await settled(claiming), false);
    await mesh.pass(100);
    assert.deepEqual((await claiming).identity, { instance: "a", slot: 1, epoch: 1 });
  }
});

Deno.test("cluster node: of two with one slot and epoch the later one begins no sessions, and says so each minute", async () => {
  await using mesh = new ClusterMesh();
  const first = await mesh.start("zz", { host: 1, found: [1, 2], slot: 5, epoch: 7 });
  const later = await mesh.start("aa", { host: 2, found: [1, 2], slot: 5, epoch: 7 });
  await mesh.pass(3000);
  assert.deepEqual([first.node.own.takesNew, first.node.own.fault], [true, undefined]);
  assert.equal(later.node.own.takesNew, false);
  assert.match(later.node.own.fault!, /slot 5 and epoch 7 .* zz at 10\.0\.0\.1 port 1250/);
  assert.equal(later.owns.at(-1)!.takesNew, false);
  assert.deepEqual(first.lines[0], "5 7 aa up", "others see that it begins none");
  await mesh.pass(121_000);
  assert.equal(later.log.of("this node begins no sessions").length, 3);
  await mesh.kill(first);
  await mesh.pass(2000);
  assert.deepEqual([later.node.own.takesNew, later.node.own.fault], [true, undefined]);
});

Deno.test("cluster node: one that lost its slot takes another, and stays the owner of what it began", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  const { claimant } = b.discovery;
  claimant!.onLost!({ slot: 2, epoch: 2 }, { instance: "taker", epoch: 3 });
  assert.deepEqual([b.node.own.takesNew, b.owns.at(-1)!.takesNew], [false, false]);
  assert.match(b.node.own.fault!, /taken the slot/);
  claimant!.onClaimed!({ slot: 9, epoch: 4 });
  const own = { identity: { instance: "n2", slot: 9, epoch: 4 }, former: [{ slot: 2, epoch: 2 }], takesNew: true };
  assert.deepEqual([b.node.own, b.owns.at(-1)], [own, own]);
  assert.deepEqual([b.node.owns(2, 2), b.node.owns(2, 6), b.node.owns(2, 3), b.node.owns(9)], [
    true,
    true,
    false,
    true,
  ]);
  await mesh.pass(1200);
  assert.deepEqual(a.lines, ["2 2 n2 up", "3 3 n3 up new", "9 4 n2 up new"]);
});

Deno.test("cluster node: a drain is known to others within seconds", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  b.node.drain();
  assert.deepEqual([b.node.own.takesNew, b.node.own.fault], [false, undefined]);
  await mesh.pass(1200);
  assert.equal(a.lines[0], "2 2 n2 up");
});

Deno.test("cluster node: what may change is told on", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  b.node.reconfigure({
    serves: ["game_.*"],
    weight: 3,
    publics: [{ url: "tcp://b:1", dialect: "plain" }],
    reuseTime: 5000,
  });
  await mesh.pass(1200);
  assert.deepEqual([a.told[0]!.serves, a.told[0]!.weight], [["game_.*"], 3]);
  await mesh.kill(b);
  await mesh.pass(7000);
  assert.equal(a.lines.find((line) => line.includes("n2")), undefined, "its reuse time is the one that it told");
});

Deno.test("cluster node: closed numbers come once to the thread that carries them, when an answer is lost too", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  b.node.tellClosed({ instance: "n1", thread: 2, number: 41 });
  b.node.tellClosed({ instance: "n3", thread: 0, number: 1 });
  await mesh.pass(1200);
  assert.deepEqual(a.closed, ["2:41"]);
  b.answersToLose = 2;
  b.node.tellClosed({ instance: "n1", thread: 2, number: 42 });
  await mesh.pass(5000);
  assert.deepEqual(a.closed, ["2:41", "2:42"]);
});

Deno.test("cluster node: another one at the own address is an error that says what to check", async () => {
  await using mesh = new ClusterMesh();
  const other = await mesh.start("other", { host: 1, found: [1], slot: 5, epoch: 7 });
  const a = mesh.add("a", { host: 1, found: [1], slot: 5, epoch: 7 });
  await mesh.begin(a);
  await mesh.pass(2000);
  const [line] = a.log.of("another node is at the own address");
  assert.deepEqual([line!.addr, line!.instance], ["10.0.0.1:1250", "other"]);
  assert.match(String(line!.check), /cluster\.advertise/);
  assert.match(a.node.own.fault!, /other/, "and it is known that it has the same slot");
  other.isListening = false;
  await mesh.cut(other);
  await mesh.pass(2000);
  assert.equal(a.node.own.fault, undefined);
});

Deno.test("cluster node: while another one is at the own address no session begins, whatever slot it has", async () => {
  await using mesh = new ClusterMesh();
  const other = await mesh.start("other", { host: 1, found: [1], slot: 6, epoch: 0 });
  const a = mesh.add("a", { host: 1, found: [1], slot: 5, epoch: 7 });
  await mesh.begin(a);
  await mesh.pass(2000);
  assert.equal(a.node.own.takesNew, false);
  assert.match(a.node.own.fault!, /^another instance, other, is at 10\.0\.0\.1 port 1250, .*cluster\.advertise$/);
  other.isListening = false;
  await mesh.cut(other);
  await mesh.pass(2000);
  assert.equal(a.node.own.takesNew, true);
});

Deno.test("cluster node: an own address that nobody answers at is an error, and it goes on", async () => {
  await using mesh = new ClusterMesh();
  const a = mesh.add("a", { host: 1, found: [1] });
  await mesh.begin(a, { listens: false });
  assert.equal(a.log.of("own address not reached").length, 1);
  assert.equal(a.node.own.takesNew, true);
});

Deno.test("cluster node: an edge has no slot, and is known to the nodes that it watches", async () => {
  await using mesh = new ClusterMesh();
  const [a] = await three(mesh);
  const cluster = { role: "edge", discovery: "static" } as const;
  const edge = await mesh.start("edge", { host: 8, found: ALL, more: { cluster } });
  await mesh.pass(1000);
  assert.deepEqual(edge.node.own, { identity: { instance: "edge" }, former: [], takesNew: false });
  assert.deepEqual(edge.lines, ["1 1 n1 up new", "2 2 n2 up new", "3 3 n3 up new"]);
  const { edges, nodes } = a.node.describe(new Map());
  assert.deepEqual(edges.map(({ instance, addr }) => [instance, addr]), [["edge", at(8)]]);
  assert.deepEqual(nodes.map(({ instance }) => instance), ["n2", "n3"]);
  await mesh.kill(edge);
  await mesh.pass(7000);
  assert.deepEqual(a.node.describe(new Map()).edges, []);
});

Deno.test("cluster node: it describes itself and the others, with why they are not there, and what was carried", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  const up = a.told.find(({ instance }) => instance === "n3")!.since;
  await mesh.kill(b);
  await mesh.pass(1000);
  const counts = new Map([
    ["2 n2", { connections: 4, failures: 2 }],
    ["2 before", { connections: 1, failures: 5 }],
    ["2 ", { connections: 0, failures: 3 }],
  ]);
  const { self, nodes, carried } = a.node.describe(counts);
  assert.deepEqual(carried, { 2: { connections: 5, failures: 10 } });
  const identity = { instance: "n1", slot: 1, epoch: 1 };
  assert.deepEqual(self, { ...identity, role: "node", addr: at(1), takesNew: true, former: [] });
  const common = { weight: 100, serves: [] };
  const { since, ...gone } = nodes[0]!;
  assert.ok(since > up);
  assert.deepEqual(gone, {
    ...{ slot: 2, epoch: 2, instance: "n2", addr: at(2), state: "refused", takesNew: false, ...common },
    ...{ error: "no conversation: refused", connections: 4, failures: 2 },
  });
  const there = { slot: 3, epoch: 3, instance: "n3", addr: at(3), state: "up", since: up, takesNew: true, ...common };
  assert.deepEqual(nodes[1], { ...there, connections: 0, failures: 0 });
});

Deno.test("cluster node: others are asked by slot and epoch, by instance, and all at once", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  assert.equal(await a.node.ask({ slot: 2, epoch: 2 }, "endSession", { id: 7 }, 1000), true);
  assert.equal(await a.node.ask({ instance: "n3" }, "endSession", { id: 8 }, 1000), false);
  for (const [slot, message] of [[2, /epoch 1 of slot 2 is no more/], [8, /nothing is known of slot 8/]] as const) {
    await assert.rejects(a.node.ask({ slot, epoch: 1 }, "session", { id: 7 }, 1000), { name: "NoOwner", message });
  }
  await assert.rejects(a.node.ask({ instance: "x" }, "session", { id: 7 }, 1000), /instance x/);
  b.isMute = true;
  const asking = a.node.askAll("moveSession", { id: 7, url: "" });
  await mesh.pass(2000);
  const { answers, missing } = await asking;
  assert.deepEqual(answers.map(({ from, value }) => [from.instance, value]), [["n3", "moved"]]);
  assert.deepEqual(missing.map(({ from }) => from.instance), ["n2"]);
});

Deno.test("cluster node: a question that is none is answered with what is wrong", async () => {
  await using mesh = new ClusterMesh();
  const a = await mesh.start("a", { host: 1, found: [1] });
  const asker = { instance: "x", role: "node" } as const;
  for (
    const [method, args, reason] of [
      ["session", { id: 0 }, /id/],
      ["session", undefined, /all of it/],
      ["endSession", { id: "7" }, /id/],
      ["sessions", { limit: -1 }, /limit/],
      ["sessions", { limit: 1, state: "asleep" }, /state/],
      ["moveSession", { id: 7, url: "é".repeat(128) }, /url/],
      ["moveCarried", {}, /instance/],
      ["watch", { confirmed: "x" }, /confirmed/],
      ["snapshot", {}, /no snapshot/],
      ["constructor", {}, /nothing here answers to "constructor"/],
    ] as const
  ) await assert.rejects(a.node.answer(asker, method, args), reason, method);
  assert.deepEqual(await a.node.answer(asker, "moveCarried", { instance: "x", most: 4 }), 4);
  assert.deepEqual(await a.node.answer(asker, "epochs", {}), { 1: 1 });
});

Deno.test("cluster node: it knows by which URLs clients reach others that are no worse a way to it", async () => {
  await using mesh = new ClusterMesh();
  const [a, b, c] = await three(mesh);
  const offering = { serves: [], weight: 1, reuseTime: 30_000 };
  const at = (url: string) => ({ url, dialect: "plain" }) as const;
  b.node.reconfigure({ ...offering, publics: [at("tcp://b:1"), at("wss://b:2/")] });
  c.node.reconfigure({ ...offering, publics: [at("tcp://c:1")] });
  const cluster = { role: "edge", discovery: "static" } as const;
  const edge = await mesh.start("edge", { host: 8, found: ALL, more: { cluster, publics: [at("tcp://edge:1")] } });
  await mesh.pass(1200);
  const urls = (instance: string) => a.node.elsewhere(instance).map(({ url }) => url);
  assert.deepEqual(urls("n9"), ["tcp://b:1", "wss://b:2/", "tcp://c:1", "tcp://edge:1"]);
  assert.deepEqual(urls("n2"), ["tcp://c:1", "tcp://edge:1"]);
  assert.deepEqual(urls("edge"), ["tcp://b:1", "wss://b:2/", "tcp://c:1"]);
  b.node.drain();
  await mesh.pass(1200);
  assert.deepEqual(urls("n9"), ["tcp://c:1", "tcp://edge:1"], "one that ends is no way");
  edge.node.drain();
  await mesh.kill(c);
  await mesh.pass(1200);
  assert.deepEqual(urls("n9"), []);
});

Deno.test("cluster node: closed, it says and does nothing more", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  const told = a.told;
  await a.node.close();
  await mesh.kill(b);
  await mesh.pass(10_000);
  await turn();
  assert.equal(a.told, told);
});

Deno.test("cluster node: whom it knows it tells again only to who has not heard of that", async () => {
  await using mesh = new ClusterMesh();
  const [a, b] = await three(mesh);
  const asker = { instance: "asker", role: "edge" as const };
  const ask = async (edition: string) =>
    await a.node.answer(asker, "watch", { edition }) as { known: unknown[]; edition: string };
  const first = await ask("");
  assert.equal(first.known.length, 3);
  assert.deepEqual((await ask(first.edition)).known, []);
  assert.equal(
    (await ask("")).known,
    first.known,
    "it was made anew, for a question that comes each second from each node",
  );
  await mesh.kill(b);
  await mesh.start("next", { host: 2, found: ALL });
  await mesh.pass(3000);
  const next = await ask(first.edition);
  assert.notEqual(next.edition, first.edition);
  assert.match(JSON.stringify(next.known), /"next"/);
});

Deno.test("cluster node: another process goes on as the same one, knows at once what it knew, and others notice nothing", async () => {
  await using mesh = new ClusterMesh();
  const [a, b, c] = await three(mesh);
  await mesh.kill(c);
  await mesh.pass(500);
  const [told, losses] = [a.told, a.log.of("node not there").length];
  const { since } = b.told[0]!;
  const next = await mesh.replace(b, "n2", { host: 2, epoch: 9 });
  assert.deepEqual(next.lines, ["1 1 n1 up new", "3 3 n3 refused"]);
  assert.deepEqual([next.node.own, next.node.hasFound], [b.node.own, true]);
  assert.deepEqual(next.discovery.had, { own: next.node.snapshot.own.lives[0], lost: [] });
  assert.equal(next.told[0]!.since, since);
  await mesh.pass(6000);
  assert.equal(a.told, told, "nothing is different for the threads of others");
  assert.equal(a.log.of("node not there").length, losses);
  assert.deepEqual(next.log.of("node there"), []);
  // It forgets as the other one would have.
  await mesh.pass(31_000);
  assert.deepEqual(next.lines, ["1 1 n1 up new", "3 - - refused"]);
});

Deno.test("cluster node: another process goes on as an edge, knows at once what it knew, and wants no slot", async () => {
  await using mesh = new ClusterMesh();
  const edge = { host: 9, more: { cluster: { role: "edge", discovery: "redis" } as const } };
  const [a] = await three(mesh);
  const before = await mesh.start("e", { ...edge, found: ALL });
  await mesh.pass(2000);
  assert.equal(before.lines.length, 3);
  const next = await mesh.replace(before, "e", edge);
  assert.deepEqual([next.lines, next.node.own], [before.lines, before.node.own]);
  assert.equal(next.discovery.claimant, undefined);
  await mesh.pass(2000);
  assert.deepEqual(a.node.describe(new Map()).edges.map(({ instance }) => instance), ["e"]);
});

Deno.test("cluster node: one that goes on for another that had lost its slot has what that one still had, and takes another one", async () => {
  await using mesh = new ClusterMesh();
  const [, b] = await three(mesh);
  const lost = { slot: 2, epoch: 2 };
  b.discovery.claimant!.onLost!(lost, { instance: "x", epoch: 3 });
  const next = await mesh.replace(b, "n2", { host: 2 });
  assert.equal(next.node.own.takesNew, false);
  const { own, lost: had } = next.discovery.had!;
  assert.deepEqual([own, had.map(({ slot, epoch }) => ({ slot, epoch }))], [undefined, [lost]]);
  next.discovery.claimant!.onClaimed!({ slot: 5, epoch: 7 });
  assert.deepEqual(next.node.own, {
    identity: { instance: "n2", slot: 5, epoch: 7 },
    former: [lost],
    takesNew: true,
  });
  assert(next.node.owns(2, 2) && next.node.owns(5, 7));
});

Deno.test("cluster node: what another process says of itself is read as a whole, or not at all", async () => {
  await using mesh = new ClusterMesh();
  const [a] = await three(mesh);
  const good = structuredClone(a.node.snapshot);
  assert.deepEqual(readNodeSnapshot(good), good);
  const { own, map } = good;
  for (
    const [bad, fault] of [
      [undefined, /^node is not an object$/],
      [{ ...good, more: 1 }, /^node\.more is not known$/],
      [{ ...good, own: { ...own, lives: [{ ...own.lives[0], epoch: -1 }] } }, /^node\.own\.lives\[0\]\.epoch/],
      [{ ...good, own: { ...own, instance: 5 } }, /^node\.own\.instance/],
      [{ ...good, map: { ...map, places: { places: [{}], met: [] } } }, /^node\.map\.places\.places\[0\]\.addr/],
      [{ ...good, at: NaN }, /^node\.at is not a time$/],
    ] as const
  ) assert.throws(() => readNodeSnapshot(bad), { name: "ShapeError", message: fault });
});
