/** Nodes behind a balancer that knows nothing of sessions. */
import assert from "node:assert/strict";
import { balancer } from "../../helpers/cluster/balancer.ts";
import { slotOf, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { eventually } from "../../helpers/cluster/waiting.ts";
import { HAS_HAPROXY } from "../../helpers/haproxy.ts";
import { Random } from "../../helpers/random.ts";

const SESSIONS = 200;

Deno.test("of 200 sessions whose clients come back to any of three nodes no byte is wrong and none is lost", {
  ignore: !HAS_HAPROXY,
}, async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 3 });
  await using front = await balancer(cluster.addresses);
  const traffic = await Traffic.open({ address: front.address, sessions: SESSIONS, cutWithin: 20_000, random });
  traffic.begin();
  await traffic.more(6);
  await traffic.end();
  traffic.assertWell();
  assert(traffic.resumes(1) > SESSIONS && traffic.resumes(2) > SESSIONS, `only ${traffic.resumes(1)} and 2`);
  const own = await Promise.all(cluster.nodes.map((node) => node.metric("goscon_sessions")));
  const expected = cluster.nodes.map((_, slot) => traffic.talks.filter(({ id }) => slotOf(id) === slot).length);
  assert.deepEqual(own, expected);
  assert.equal(own.reduce((sum, count) => sum + count, 0), SESSIONS);
  assert(Math.min(...own) > SESSIONS / 6, `the balancer gives each its part, not ${own}`);
  for (const node of cluster.nodes) {
    // Of three resumes two go to another node than the session's.
    const ids = new Set(node.eventsOf("session new").map(({ id }) => id));
    const resumed = node.eventsOf("session resumed");
    assert(resumed.every(({ id }) => ids.has(id)), "a node resumes what is its own");
    assert.deepEqual(node.eventsOf("internal error"), []);
    assert.equal(await node.metric("goscon_resumes_total", 'code="404"'), 0);
    assert.equal((await node.ask("/sessions?limit=1")).total, SESSIONS);
  }
  await traffic[Symbol.asyncDispose]();
  for (const node of cluster.nodes) await eventually(async () => await node.metric("goscon_cluster_carrying") === 0);
});
