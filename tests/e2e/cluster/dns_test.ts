/** Nodes that find each other by the names of their hosts. */
import assert from "node:assert/strict";
import { HAS_LANS } from "../../helpers/cluster/lan.ts";
import type { Member } from "../../helpers/cluster/member.ts";
import { slotOf, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { isInstalled } from "../../helpers/programs.ts";
import { Random } from "../../helpers/random.ts";

const SERVICE = "nodes.test";
const HAS_UNSHARE = isInstalled("unshare", ["--uts", "true"]);

/** What runs a command on a machine of that name, which knows others by the file `hosts` of that directory, and by nothing else. */
function named(hostname: string, dir: string): string[] {
  const script = 'for file in hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file" || exit; done; ' +
    'hostname "$2" && shift 2 && exec "$@"';
  return ["unshare", "--uts", "sh", "-c", script, "sh", dir, hostname];
}

/** The lines of those nodes, by which a look-up of the service gives all of them. */
function linesOf(nodes: readonly Member[]): string {
  return nodes.map(({ place }, slot) => `${place.hostname} nodes-${slot}.${SERVICE} ${SERVICE}\n`).join("");
}

Deno.test("nodes, and an edge, find each other by the DNS, and one that comes later as well", {
  ignore: !HAS_LANS || !HAS_UNSHARE,
}, async () => {
  const random = new Random();
  const dir = await Deno.makeTempDir();
  const hosts = `${dir}/hosts`;
  await Deno.writeTextFile(`${dir}/nsswitch.conf`, "hosts: files\n");
  await using cluster = TestCluster.prepare({
    nodes: 3,
    edges: 1,
    cluster: () => ({ discovery: "dns", slot: undefined, nodes: undefined, dns: { service: SERVICE, port: 1250 } }),
  });
  for (const [slot, { place }] of cluster.nodes.entries()) place.by.push(...named(`nodes-${slot}`, dir));
  const [edge] = cluster.edges as [Member];
  edge.place.by.push(...named("edge-7f9c", dir));
  const first = cluster.nodes.slice(0, 2);
  const late = cluster.nodes[2]!;
  await Deno.writeTextFile(hosts, linesOf(first));
  const early = [...first, edge];
  await Promise.all(early.map((member) => member.start()));
  for (const member of early) await cluster.knowsAll(member, first);
  await using traffic = await Traffic.open({ address: edge.address, sessions: 20, cutWithin: 50_000, random });
  traffic.begin();
  assert.deepEqual([...new Set(traffic.talks.map(({ id }) => slotOf(id)))].sort(), [0, 1]);
  await Deno.writeTextFile(hosts, linesOf(cluster.nodes));
  await late.start();
  for (const member of early) await cluster.knowsAll(member, [late]);
  await cluster.knowsAll(late);
  await using more = await Traffic.open({ address: edge.address, sessions: 20, cutWithin: 50_000, random });
  assert(more.talks.some(({ id }) => slotOf(id) === 2));
  await traffic.more(3);
  await traffic.end();
  traffic.assertWell();
  await Deno.remove(dir, { recursive: true });
});
