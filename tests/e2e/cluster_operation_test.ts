import assert from "node:assert/strict";
import type { ClusterInfo } from "../../lib/proxy/cluster_info.ts";
import type { SessionPage } from "../../lib/proxy/data_plane.ts";
import type { SessionInfo } from "../../lib/proxy/session/session_record.ts";
import { AckedClient } from "../helpers/acked_client.ts";
import type { Goscon } from "../helpers/goscon.ts";
import { LocalCluster } from "../helpers/local_cluster.ts";
import { pattern } from "../helpers/random.ts";

// deno-lint-ignore no-explicit-any -- what is answered is looked at by each test
async function ask(goscon: Goscon, method: string, path: string): Promise<{ status: number; body: any }> {
  const { status, text } = await goscon.manager(method, path);
  return { status, body: JSON.parse(text) };
}

/** The sessions of all nodes. */
async function list(goscon: Goscon, query = ""): Promise<SessionPage> {
  return (await ask(goscon, "GET", `/sessions${query}`)).body;
}

/** Asks again and again until what is answered fits. */
async function asked<T>(question: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await question();
    if (fits(answer)) return answer;
  }
}

/** A new session at each, over which a little has gone. */
async function open(goscons: Goscon[]): Promise<AckedClient[]> {
  return await Promise.all(goscons.map(async (goscon) => {
    const client = await AckedClient.open(goscon.addresses[0]!);
    await client.send(pattern(0, 10));
    await client.receive(10);
    return client;
  }));
}

const instanceOf = async (goscon: Goscon) => String((await goscon.event((e) => e.message === "cluster")).instance);

Deno.test("sessions of a cluster are seen, moved and ended at any node, and at an edge, with whose they are and by whom they come", async () => {
  await using cluster = await LocalCluster.start();
  const { nodes: [a, b], edge } = cluster;
  const clients = await open([a!, b!, edge, edge]);
  const ids = clients.map(({ id }) => id);
  const via = await instanceOf(edge);
  for (const goscon of [a!, b!, edge]) {
    const { total, sessions, missing } = await list(goscon);
    assert.deepEqual([total, missing], [4, []]);
    const of = (id: number) => sessions.find((session) => session.id === id)!;
    assert.deepEqual(ids.map((id) => of(id).via), [undefined, undefined, via, via]);
    assert.deepEqual(ids.slice(0, 2).map((id) => of(id).node), [0, 1]);
    const idsOf = (infos: SessionInfo[]) => infos.map(({ id }) => id);
    assert.deepEqual(idsOf(sessions), idsOf(sessions.toSorted((x, y) => x.since - y.since || x.id - y.id)));
    assert.deepEqual(idsOf((await list(goscon, "?limit=3")).sessions), idsOf(sessions).slice(0, 3));
    for (const slot of [0, 1]) {
      const ofNode = idsOf((await list(goscon, `?node=${slot}`)).sessions);
      assert.deepEqual(ofNode, idsOf(sessions.filter(({ node }) => node === slot)));
    }
    for (const id of ids) assert.equal((await ask(goscon, "GET", `/sessions/${id}`)).body.id, id);
  }
  assert.equal((await list(edge, "?node=this")).total, 0);
  for (const [i, goscon] of [b!, a!, a!, b!].entries()) {
    const client = clients[i]!;
    const path = `/sessions/${client.id}`;
    const move = await ask(goscon, "POST", `${path}/move?url=tcp://b.example:1`);
    assert.deepEqual([move.status, move.body], [202, { moved: client.id, url: "tcp://b.example:1" }]);
    await client.until(() => client.moves.length === 1);
    assert.deepEqual(await ask(goscon, "DELETE", path), { status: 200, body: { ended: client.id } });
    await client.until(() => client.end !== undefined);
    for (const each of [a!, b!, edge]) assert.equal((await ask(each, "GET", path)).status, 404);
  }
  for (const client of clients) client[Symbol.dispose]();
});

Deno.test("a node that stands still is seen at a glance, and asking it for a session is 502; after its end, and in its next life, 404", async () => {
  await using cluster = await LocalCluster.start();
  const { nodes: [a, b], edge } = cluster;
  const [client] = await open([b!]);
  const path = `/sessions/${client!.id}`;
  const stateOf = async (goscon: Goscon) => {
    const { nodes } = (await ask(goscon, "GET", "/cluster")).body as ClusterInfo;
    return nodes.filter(({ slot }) => slot === 1).map(({ state }) => state).join();
  };
  assert.equal(await stateOf(a!), "up");
  b!.kill("SIGSTOP");
  await asked(() => stateOf(a!), (state) => state === "away");
  assert.match((await a!.manager("GET", "/metrics")).text, /^goscon_cluster_node_up\{node="1"\} 0$/m);
  for (const [method, more] of [["GET", ""], ["DELETE", ""], ["POST", "/move"]] as const) {
    const { status, body } = await ask(a!, method, path + more);
    assert.equal(status, 502, method);
    assert.match(body.error, /^node 1, whose session that is, cannot be asked: /);
  }
  assert.deepEqual((await list(a!)).missing, [{ node: 1, reason: "it is away" }]);
  assert.equal((await edge.manager("GET", "/readyz")).status, 200, "there is another node");
  b!.kill("SIGKILL");
  await asked(() => stateOf(a!), (state) => state === "refused");
  assert.equal((await ask(a!, "GET", path)).status, 404);
  assert.deepEqual((await list(a!)).missing, []);
  cluster.nodes.push(await cluster.node(1));
  await asked(() => stateOf(a!), (states) => states.startsWith("up"));
  for (const goscon of [a!, edge, cluster.nodes[2]!]) assert.equal((await ask(goscon, "DELETE", path)).status, 404);
  assert.match((await a!.manager("GET", "/metrics")).text, /^goscon_cluster_node_up\{node="1"\} 1$/m);
  client![Symbol.dispose]();
});

Deno.test("each process of a cluster tells who it is and what it knows of the others, at its start too", async () => {
  await using cluster = await LocalCluster.start();
  const { nodes: [a, b], edge, ports } = cluster;
  const told = await b!.event((e) => e.message === "cluster");
  const { name, role, node, epoch, listen, advertised, discovery, instance } = told;
  const address = `127.0.0.1:${ports[1]}`;
  assert.deepEqual([name, role, node, listen, advertised, discovery], ["game", "node", 1, address, address, "static"]);
  const { nodes } = (await ask(a!, "GET", "/cluster")).body;
  const addr = { hostname: "127.0.0.1", port: ports[1] };
  const { slot, state, takesNew, ...seen } = nodes[0];
  assert.deepEqual([nodes.length, slot, state, takesNew], [1, 1, "up", true]);
  assert.deepEqual([seen.epoch, seen.instance, seen.addr], [epoch, instance, addr]);
  const { edges } = (await ask(a!, "GET", "/cluster")).body;
  assert.deepEqual([edges.length, edges[0].instance], [1, await instanceOf(edge)]);
  const { self } = (await ask(edge, "GET", "/status")).body.cluster;
  assert.deepEqual([self.role, self.slot, self.takesNew], ["edge", undefined, false]);
  for (const goscon of [a!, b!, edge]) {
    await asked(() => goscon.manager("GET", "/readyz"), ({ status }) => status === 200);
  }
  const clients = await open([edge, edge, edge]);
  const metrics = await edge.manager("GET", "/metrics");
  const counts = [...metrics.text.matchAll(/^goscon_cluster_carried\{node="\d"\} (\d+)$/gm)].map(([, n]) => Number(n));
  assert.deepEqual([counts.length, counts[0]! + counts[1]!], [2, 3]);
  assert.match(metrics.text, /^goscon_cluster_carrying 3$/m);
  assert.match(metrics.text, /^goscon_cluster_info\{name="game",role="edge",node="",epoch="",id="[0-9a-f]{24}"\} 1$/m);
  for (const client of clients) client[Symbol.dispose]();
  a!.kill("SIGKILL");
  b!.kill("SIGKILL");
  const { text } = await asked(() => edge.manager("GET", "/readyz"), ({ status }) => status === 503);
  assert.equal(text, "no node is up\n");
});
