/** Edges, which own no session, before the nodes that do. */
import assert from "node:assert/strict";
import { Connection } from "../../../lib/client/connection.ts";
import { balancer } from "../../helpers/cluster/balancer.ts";
import type { Member } from "../../helpers/cluster/member.ts";
import { slotOf, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { HAS_HAPROXY } from "../../helpers/haproxy.ts";
import { Random } from "../../helpers/random.ts";
import { RawClient, tcp } from "../../helpers/raw_client.ts";

Deno.test("edges are killed at random under load: no byte is wrong and no session is lost, in either version", {
  ignore: !HAS_HAPROXY,
}, async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 2, edges: 2 });
  await using front = await balancer(cluster.edges.map(({ address }) => address));
  await using traffic = await Traffic.open({ address: front.address, sessions: 60, cutWithin: 100_000, random });
  traffic.begin();
  for (let i = 0; i < 3; i++) {
    await traffic.more(random.int(1, 3));
    const edge = cluster.edges[random.int(0, 1)]!;
    await edge.kill();
    await edge.start();
  }
  await traffic.more(2);
  await traffic.end();
  traffic.assertWell();
  const own = await Promise.all(cluster.members.map((member) => member.metric("goscon_sessions")));
  const expected = cluster.nodes.map((_, slot) => traffic.talks.filter(({ id }) => slotOf(id) === slot).length);
  assert.deepEqual(own, [...expected, 0, 0]);
  assert(Math.min(...expected) > 5, `edges choose origins by chance, not ${expected}`);
});

Deno.test("an edge with no origin answers 501, says so, and serves as soon as there is one", async () => {
  await using cluster = TestCluster.prepare({ nodes: 1, edges: 1 });
  const [[node], [edge]] = [cluster.nodes, cluster.edges] as [[Member], [Member]];
  await edge.start();
  for (const version of [1, 2] as const) {
    await assert.rejects(Connection.open({ dial: () => tcp(edge.address), version }), { code: 501 });
  }
  await edge.goscon.event(({ message, reason }) => message === "handshake failed" && /no_node/.test(String(reason)));
  assert.deepEqual(await edge.manager("GET", "/readyz"), { status: 503, text: "no node is up\n" });
  await node.start();
  await cluster.knowsAll(edge);
  using client = await RawClient.open(edge.address);
  assert.equal(slotOf(client.id), 0);
});

Deno.test("an edge sends a session to a node that serves its target, by weight", async () => {
  await using cluster = await TestCluster.start({
    nodes: 3,
    edges: 1,
    cluster: (_, slot) =>
      slot === undefined ? {} : { serves: [slot === 0 ? "chat" : "game_.*"], weight: slot === 1 ? 3 : 1 },
    keys: (cluster, slot) =>
      slot === undefined ? {} : {
        hosts: ["chat", "game_1"].map((name) => ({ name, addr: `${cluster.here(0)}:${cluster.backend.port}` })),
      },
  });
  const { address } = cluster.edges[0]!;
  const slots = { chat: [] as number[], game_1: [] as number[] };
  for (let i = 0; i < 40; i++) {
    for (const target of ["chat", "game_1"] as const) {
      using client = await RawClient.open(address, { target });
      slots[target].push(slotOf(client.id));
    }
  }
  assert.deepEqual([...new Set(slots.chat)], [0]);
  const heavy = slots.game_1.filter((slot) => slot === 1).length;
  assert.deepEqual([...new Set(slots.game_1)].sort(), [1, 2]);
  assert(heavy > 20, `${heavy} of 40 went to the node that has three quarters of the weight`);
  await assert.rejects(Connection.open({ dial: () => tcp(address), target: "nobody" }), { code: 501 });
});
