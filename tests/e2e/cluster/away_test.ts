/** Nodes that do not answer for a while, or for ever. */
import assert from "node:assert/strict";
import { HAS_LANS } from "../../helpers/cluster/lan.ts";
import type { Member } from "../../helpers/cluster/member.ts";
import { slotOf, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { eventually } from "../../helpers/cluster/waiting.ts";
import { Random } from "../../helpers/random.ts";
import { ask, RawClient } from "../../helpers/raw_client.ts";

/** The code that a resume is answered there. */
async function codeOf(address: string, client: RawClient): Promise<string> {
  const { link, answer } = await ask(address, client.resumeContent());
  link.close();
  return answer.split("\n")[1]!;
}

Deno.test("a resume for a machine that is gone is 501 until its sessions cannot live any more, and 404 then", {
  ignore: !HAS_LANS,
}, async () => {
  await using cluster = await TestCluster.start({
    nodes: 2,
    keys: () => ({ scp: { reuse_time: "2s", v2: { reuse_time: "2s" } } }),
  });
  const [one, two] = cluster.nodes as [Member, Member];
  using client = await RawClient.open(one.address);
  assert.equal(await codeOf(two.address, client), "200");
  cluster.lan!.plug(one.place.hostname, false);
  assert.equal(await codeOf(two.address, client), "501");
  const codes = new Set<string>();
  await eventually(async () => codes.add(await codeOf(two.address, client)).has("404"));
  assert.deepEqual([...codes], ["501", "404"]);
  await two.goscon.event(({ message, addr, state }) =>
    message === "node not there" && addr === one.peerAddress && state === "away"
  );
});

Deno.test("sessions of a node that stands still for a while go on then, and those of others do all the time", async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 2, edges: 2 });
  const [one] = cluster.nodes as [Member];
  const [edge, other] = cluster.edges as [Member, Member];
  await using traffic = await Traffic.open({ address: edge.address, sessions: 30, cutWithin: 30_000, random });
  const others = traffic.talks.filter(({ id }) => slotOf(id) === 1);
  assert(others.length > 5);
  traffic.begin();
  await traffic.more(1);
  one.goscon.kill("SIGSTOP");
  for (const { goscon } of [edge, other]) {
    await goscon.event(({ message, addr, state }) =>
      message === "node not there" && addr === one.peerAddress && state === "away"
    );
  }
  await traffic.more(3, others);
  // New ones begin where there is somebody.
  await using more = await Traffic.open({ address: other.address, sessions: 10, random });
  assert.deepEqual([...new Set(more.talks.map(({ id }) => slotOf(id)))], [1]);
  one.goscon.kill("SIGCONT");
  await traffic.more(3);
  await traffic.end();
  traffic.assertWell();
});
