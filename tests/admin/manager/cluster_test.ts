import assert from "node:assert/strict";
import type { ClusterInfo } from "../../../lib/proxy/cluster_info.ts";
import { NodeAway, type SessionQuery } from "../../../lib/proxy/data_plane.ts";
import { clusterInfo, describedNode } from "../../helpers/cluster_info.ts";
import { TestManager } from "../../helpers/manager.ts";

/** A manager of a proxy that knows of such a cluster. */
async function managerOf(cluster: ClusterInfo, keys: Record<string, unknown> = {}): Promise<TestManager> {
  const manager = new TestManager(keys);
  const snapshot = await manager.proxy.proxy.snapshot();
  Object.assign(manager.proxy.proxy, { snapshot: () => Promise.resolve({ ...snapshot, cluster }) });
  return manager;
}

Deno.test("GET /cluster tells what is known of the cluster, as /status does, and without one that there is none", async () => {
  const cluster = clusterInfo([describedNode(2)], { edges: [{ instance: "edge", since: 7 }] });
  await using manager = await managerOf(cluster);
  assert.deepEqual(await manager.json("GET", "/cluster"), { status: 200, body: cluster });
  assert.deepEqual((await manager.json("GET", "/status")).body.cluster, cluster);
  await using alone = new TestManager();
  const { status, body } = await alone.json("GET", "/cluster");
  assert.deepEqual([status, body], [404, { error: "this process is alone: its configuration has no cluster" }]);
});

Deno.test("GET /readyz of a node: 503 while another one has its slot, and as of one that is alone", async () => {
  const conflict = "slot 1 and epoch 5 are those of another instance, too";
  const down = { hosts: [{ addr: "builtin:echo", drain: true }] };
  const cases: [ClusterInfo, Record<string, unknown>, number, string][] = [
    [clusterInfo([]), {}, 200, "ok\n"],
    [clusterInfo([describedNode(2, { state: "away" })]), {}, 200, "ok\n"],
    [clusterInfo([describedNode(2)], { self: { conflict } }), {}, 503, `${conflict}\n`],
    [clusterInfo([describedNode(2)]), down, 503, "no upstream is up\n"],
  ];
  for (const [cluster, keys, status, text] of cases) {
    await using manager = await managerOf(cluster, keys);
    const answer = await manager.ask("GET", "/readyz");
    assert.deepEqual([answer.status, answer.text], [status, text]);
  }
});

Deno.test("GET /readyz of an edge: 503 when no node is up; it needs no upstream", async () => {
  const self = { role: "edge", takesNew: false } as const;
  const cases = [
    [[], 503, "no node is up\n"],
    [[describedNode(2, { state: "away" }), describedNode(3, { state: "unknown" })], 503, "no node is up\n"],
    // Its clients can resume.
    [[describedNode(2, { takesNew: false }), describedNode(3, { state: "away" })], 200, "ok\n"],
    [[describedNode(2, { state: "refused", takesNew: false }), describedNode(3)], 200, "ok\n"],
  ] as const;
  for (const [nodes, status, text] of cases) {
    const keys = { hosts: [{ addr: "builtin:echo", drain: true }] };
    await using manager = await managerOf(clusterInfo([...nodes], { self }), keys);
    const answer = await manager.ask("GET", "/readyz");
    assert.deepEqual([answer.status, answer.text], [status, text]);
  }
});

Deno.test("GET /sessions asks for a node by its slot, or for this one", async () => {
  const cluster = {
    ...{ name: "game", slot: 1, slots: 8, listen: "127.0.0.1:1250", secrets: ["a secret of the test"] },
    nodes: [{ slot: 1, addr: "127.0.0.1:1250" }],
  };
  await using manager = new TestManager({ cluster });
  const asked: SessionQuery[] = [];
  const missing = [{ node: 3, reason: "it is away" }];
  const sessions = (query: SessionQuery) => Promise.resolve({ total: asked.push(query), sessions: [], missing });
  Object.assign(manager.proxy.proxy, { sessions });
  for (const query of ["", "?node=0", "?node=7", "?node=this"]) {
    assert.deepEqual((await manager.json("GET", `/sessions${query}`)).body.missing, missing, query);
  }
  assert.deepEqual(asked.map(({ node }) => node), [undefined, 0, 7, "this"]);
  for (const node of ["8", "-1", "1.5", "x", ""]) {
    const { status, body } = await manager.json("GET", `/sessions?node=${node}`);
    assert.deepEqual([status, body], [400, { error: "node: expected this, or a slot of 0 to 7" }], node);
  }
  await using alone = new TestManager();
  assert.equal((await alone.json("GET", "/sessions?node=this")).body.total, 0);
  const { status, body } = await alone.json("GET", "/sessions?node=0");
  assert.deepEqual([status, body], [400, { error: "node: expected this; there is no cluster" }]);
});

Deno.test("what is asked of a session whose node does not answer is 502, with why", async () => {
  await using manager = new TestManager();
  const away = () => Promise.reject(new NodeAway("node 2, whose session that is, cannot be asked: no answer"));
  Object.assign(manager.proxy.proxy, { session: away, endSession: away, moveSession: away });
  for (const [method, path] of [["GET", ""], ["DELETE", ""], ["POST", "/move"]] as const) {
    const { status, body } = await manager.json(method, `/sessions/7${path}`);
    assert.equal(status, 502, method);
    assert.deepEqual(body, { error: "node 2, whose session that is, cannot be asked: no answer" });
  }
  assert.deepEqual(manager.proxy.log.of("internal error"), []);
});
