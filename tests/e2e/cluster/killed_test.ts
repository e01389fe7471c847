/** Nodes that die, and come again. */
import assert from "node:assert/strict";
import { balancer } from "../../helpers/cluster/balancer.ts";
import type { Member } from "../../helpers/cluster/member.ts";
import { slotOf, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { AckedClient } from "../../helpers/acked_client.ts";
import { HAS_HAPROXY } from "../../helpers/haproxy.ts";
import { Random } from "../../helpers/random.ts";
import { ask, RawClient } from "../../helpers/raw_client.ts";

/** The code that is answered there. */
async function codeOf(address: string, content: string): Promise<string> {
  const { link, answer } = await ask(address, content);
  link.close();
  return answer.split("\n")[1]!;
}

Deno.test("the first resume after its node was killed is answered 404, in either version and by any other node", async () => {
  await using cluster = await TestCluster.start({ nodes: 3 });
  const [one, two, three] = cluster.nodes as [Member, Member, Member];
  using first = await RawClient.open(one.address);
  using second = await AckedClient.open(one.address);
  // Over a connection that is carried: there are more that wait for the next.
  const carried = await RawClient.open(one.address);
  await using other = await Traffic.open({ address: two.address, sessions: 10, random: new Random() });
  other.begin();
  for (const { address } of [two, three]) assert.match(await codeOf(address, carried.resumeContent()), /^200/);
  await one.kill();
  assert.equal(await codeOf(two.address, first.resumeContent()), "404");
  assert.equal(await codeOf(three.address, second.resumeContent()), "404");
  await other.more(5);
  await other.end();
  other.assertWell();
  carried[Symbol.dispose]();
});

Deno.test("clients of a node that is killed learn that their session is lost, and others feel nothing", {
  ignore: !HAS_HAPROXY,
}, async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 3 });
  await using front = await balancer(cluster.addresses);
  await using traffic = await Traffic.open({ address: front.address, sessions: 60, cutWithin: 100_000, random });
  traffic.begin();
  await traffic.more(3);
  const lost = traffic.talks.filter(({ id }) => slotOf(id) === 0);
  const others = traffic.talks.filter(({ id }) => slotOf(id) !== 0);
  assert(lost.length > 5 && others.length > 10);
  await cluster.nodes[0]!.kill();
  await Promise.all(lost.map((talk) => talk.more(Infinity)));
  // Of version 2 an answer that is not authentic counts for nothing but that the client was away for too long: 6.
  assert.deepEqual([...new Set(lost.map(({ version, fault }) => `${version}: ${fault!.code}`))].sort(), [
    "1: 404",
    "2: 6",
  ]);
  await traffic.more(3, others);
  await traffic.end();
  traffic.assertWell(others);
});

Deno.test("a resume for what a node was before its restart is 404 at once, and is no guessing", async () => {
  const dir = await Deno.makeTempDir();
  for (const slot of [0, 1]) await Deno.mkdir(`${dir}/${slot}`);
  await using cluster = await TestCluster.start({
    nodes: 2,
    cluster: (_, slot) => ({ state_dir: `${dir}/${slot}` }),
    keys: () => ({ limits: { resume_failures_per_ip: 1 } }),
  });
  const [one, two] = cluster.nodes as [Member, Member];
  using former = await RawClient.open(one.address);
  using alive = await RawClient.open(two.address);
  await one.kill();
  await one.start();
  await cluster.knowsAll(one);
  for (let i = 0; i < 3; i++) {
    for (const { address } of [one, two]) assert.equal(await codeOf(address, former.resumeContent()), "404");
  }
  for (const { address } of [one, two]) assert.match(await codeOf(address, alive.resumeContent()), /^200/);
  // What is guessing: then nobody from here resumes there.
  assert.equal(
    await codeOf(two.address, former.resumeContent().replace(/^\d+/, String((alive.id ^ 2 ** 31) >>> 0))),
    "404",
  );
  assert.equal(await codeOf(two.address, alive.resumeContent()), "501");
  await Deno.remove(dir, { recursive: true });
});
