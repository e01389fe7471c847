/** Nodes that end in order. */
import assert from "node:assert/strict";
import { AckedClient } from "../../helpers/acked_client.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { balancer } from "../../helpers/cluster/balancer.ts";
import type { Member } from "../../helpers/cluster/member.ts";
import { slotOf, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { HAS_HAPROXY } from "../../helpers/haproxy.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";

/** Sends some bytes to the echo, and takes them. */
async function echoed(client: AckedClient, at: number): Promise<void> {
  await client.send(pattern(at, 1000));
  assertSameBytes(await client.receive(1000), pattern(at, 1000));
}

/** The same client, which comes by another address from now on. */
function via(client: AckedClient, { address }: Member): Promise<void> {
  client.dial = () => tcp(address);
  return client.resume();
}

Deno.test("a node that is drained tells clients of others to move, and begins sessions at others; its own go on until drain_timeout", async () => {
  await using cluster = await TestCluster.start({
    nodes: 3,
    keys: () => ({ drain_timeout: "1h", shutdown_timeout: "100ms" }),
    cluster: () => ({ drain_delay: "10ms" }),
  });
  const [one, two] = cluster.nodes as [Member, Member];
  using own = await AckedClient.open(one.address);
  using carried = await AckedClient.open(two.address);
  using away = await AckedClient.open(one.address);
  await via(carried, one);
  await via(away, two);
  one.goscon.kill("SIGTERM");
  await carried.until(() => carried.moves.length > 0);
  assert.deepEqual(carried.moves, [`tcp://${two.address}`]);
  assert.equal((await one.manager("GET", "/readyz")).status, 503);
  using next = await AckedClient.open(one.address);
  assert.notEqual(slotOf(next.id), 0);
  for (const [i, client] of [own, carried, away, next].entries()) await echoed(client, i);
  await via(carried, two);
  await via(own, two);
  await via(away, one);
  for (const [i, client] of [own, carried, away].entries()) await echoed(client, 1000 + i);
  one.keys.drain_timeout = "0s";
  await one.reload();
  assert.deepEqual([await own.ending(), await away.ending()].map(({ code }) => code), [1, 1]);
  assert.equal(await one.goscon.ended(), 0);
  await echoed(carried, 2000);
});

Deno.test(
  "no session of others is lost when a node is drained that carries for them",
  { ignore: !HAS_HAPROXY },
  async () => {
    const random = new Random();
    await using cluster = await TestCluster.start({
      nodes: 3,
      keys: () => ({ drain_timeout: "1s", shutdown_timeout: "100ms" }),
      cluster: () => ({ drain_delay: "10ms" }),
    });
    await using front = await balancer(cluster.addresses);
    await using traffic = await Traffic.open({ address: front.address, sessions: 60, cutWithin: 100_000, random });
    traffic.begin();
    await traffic.more(3);
    const others = traffic.talks.filter(({ id }) => slotOf(id) !== 0);
    cluster.nodes[0]!.goscon.kill("SIGTERM");
    assert.equal(await cluster.nodes[0]!.goscon.ended(), 0);
    await traffic.more(5, others);
    await traffic.end();
    traffic.assertWell(others);
    const fates = traffic.talks.filter(({ id }) => slotOf(id) === 0).map(({ version, fault }) =>
      `${version}: ${fault?.code}`
    );
    // Whoever was away as it ended hears of it from others.
    for (const fate of new Set(fates)) assert.match(fate, /^(1: 404|2: [16])$/);
  },
);
