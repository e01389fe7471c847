/** Cables that are cut between machines. */
import assert from "node:assert/strict";
import { HAS_LANS } from "../../helpers/cluster/lan.ts";
import type { Member } from "../../helpers/cluster/member.ts";
import { TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { eventually } from "../../helpers/cluster/waiting.ts";
import { Random } from "../../helpers/random.ts";
import { ask, RawClient } from "../../helpers/raw_client.ts";

async function codeOf(address: string, client: RawClient): Promise<string> {
  const { link, answer } = await ask(address, client.resumeContent());
  link.close();
  return answer.split("\n")[1]!;
}

Deno.test("between two nodes that cannot reach each other a resume is 501 until they can, and others feel nothing", {
  ignore: !HAS_LANS,
}, async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 3 });
  const [one, two, three] = cluster.nodes as [Member, Member, Member];
  using client = await RawClient.open(one.address);
  using warm = await RawClient.open(one.address);
  assert.equal(await codeOf(two.address, warm), "200");
  const [here, there] = [
    await Traffic.open({ address: one.address, sessions: 10, cutWithin: 50_000, random }),
    await Traffic.open({ address: three.address, sessions: 10, cutWithin: 50_000, random }),
  ];
  await using _ = here;
  await using __ = there;
  for (const traffic of [here, there]) traffic.begin();
  cluster.lan!.cut(one.place.hostname, two.place.hostname);
  // Over the connections that waited already, and over new ones; also when it is known that the node is away.
  for (let i = 0; i < 3; i++) assert.equal(await codeOf(two.address, client), "501");
  await two.goscon.event(({ message, addr, state }) =>
    message === "node not there" && addr === one.peerAddress && state === "away"
  );
  assert.equal(await codeOf(two.address, client), "501");
  assert.equal(await codeOf(three.address, client), "200");
  for (const traffic of [here, there]) await traffic.more(5);
  cluster.lan!.heal(one.place.hostname, two.place.hostname);
  await eventually(async () => (await codeOf(two.address, client)) === "200");
  for (const traffic of [here, there]) {
    await traffic.end();
    traffic.assertWell();
  }
});
