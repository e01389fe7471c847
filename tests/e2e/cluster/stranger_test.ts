/** Those who connect where peers do, and are none. */
import assert from "node:assert/strict";
import { writeAll } from "../../../lib/link/link.ts";
import { Authority } from "../../helpers/authority.ts";
import { readToEnd } from "../../helpers/backend.ts";
import { type Keys, Member } from "../../helpers/cluster/member.ts";
import { SECRETS, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { HAS_OPENSSL } from "../../helpers/programs.ts";
import { Random } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";

/** Processes that are configured as members, but for one thing, and what both say then. */
const STRANGERS: { who: string; section: Keys; said: RegExp }[] = [
  { who: "another secret", section: { secrets: ["a secret that no node has"] }, said: /knows none of the secrets/ },
  { who: "another name", section: { name: "other" }, said: /name of the cluster is "tested" .* and "other"/ },
  { who: "other slots", section: { slots: 16 }, said: /number of slots is 8 .* and 16/ },
  { who: "other threads", section: { threads: 8 }, said: /number of threads is 4 .* and 8/ },
];

Deno.test("a process with another secret, name or layout is refused, at both ends with the reason, and harms nobody", async () => {
  const random = new Random();
  // One for each, as each tells of refusals every few seconds only.
  await using cluster = await TestCluster.start({ nodes: STRANGERS.length });
  await using traffic = await Traffic.open({
    ...{ address: cluster.addresses[0]!, sessions: 10, cutWithin: 50_000, random },
  });
  traffic.begin();
  await Promise.all(STRANGERS.map(async ({ section, said }, i) => {
    const node = cluster.nodes[i]!;
    await using stranger = strangerTo(cluster, node, section);
    await stranger.start();
    assert.match(String((await node.goscon.event(({ message }) => message === "peer refused")).reason), said);
    assert.match(String((await stranger.goscon.event(({ message }) => message === "node not there")).reason), said);
    assert.equal((await stranger.manager("GET", "/readyz")).status, 503);
  }));
  await traffic.more(3);
  await traffic.end();
  traffic.assertWell();
});

/** An edge that knows of that node only. */
function strangerTo(cluster: TestCluster, node: Member, section: Keys): Member {
  const place = cluster.newPlace();
  const keys = cluster.keysOf(place, { cluster: () => ({ nodes: [{ slot: 0, addr: node.peerAddress }], ...section }) });
  return new Member("stranger", place, keys);
}

Deno.test("garbage, and silence, where peers connect ends that connection alone, and is told", async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 2 });
  const [node] = cluster.nodes as [Member];
  await using traffic = await Traffic.open({ address: node.address, sessions: 10, cutWithin: 50_000, random });
  traffic.begin();
  for (let i = 0; i < 20; i++) {
    const link = await tcp(node.peerAddress);
    await writeAll(link, random.bytes(random.int(1, 3000))).catch(() => {}); // it may be closed already
    await link.closeWrite().catch(() => {});
    await readToEnd(link).catch(() => {}); // which may be a reset
    link.close();
  }
  assert((await node.goscon.event(({ message }) => message === "peer refused")).reason);
  const silent = await Promise.all(Array.from({ length: 300 }, () => tcp(node.peerAddress)));
  await Promise.all(silent.map((link) => readToEnd(link).catch(() => {})));
  for (const link of silent) link.close();
  await traffic.more(3);
  await traffic.end();
  traffic.assertWell();
  assert.deepEqual(node.eventsOf("internal error"), []);
});

Deno.test("with TLS a rogue certificate is refused, and who has none", { ignore: !HAS_OPENSSL }, async () => {
  const random = new Random();
  using authority = await Authority.make();
  using other = await Authority.make();
  const { certFile: cert, keyFile: key } = await authority.issue("goscon-cluster");
  const rogue = await other.issue("goscon-cluster");
  const self = await authority.selfSigned("goscon-cluster");
  const ca = authority.path("ca.pem");
  await using cluster = await TestCluster.start({ nodes: 3, cluster: () => ({ secrets: [], tls: { ca, cert, key } }) });
  await using traffic = await Traffic.open({ address: cluster.addresses[0]!, sessions: 10, cutWithin: 50_000, random });
  traffic.begin();
  const strangers = [
    { section: { tls: { ca, cert: rogue.certFile, key: rogue.keyFile } }, said: /certificate/ },
    { section: { tls: { ca, cert: self.certFile, key: self.keyFile } }, said: /certificate/ },
    // Each waits for the other to begin.
    { section: { tls: undefined, secrets: SECRETS }, said: /no peer has answered/ },
  ];
  await Promise.all(strangers.map(async ({ section, said }, i) => {
    const node = cluster.nodes[i]!;
    await using stranger = strangerTo(cluster, node, { secrets: [], ...section });
    await stranger.start();
    assert.match(String((await stranger.goscon.event(({ message }) => message === "node not there")).reason), said);
    if (section.tls) {
      assert.match(String((await node.goscon.event(({ message }) => message === "peer refused")).reason), said);
    }
    assert.equal((await stranger.manager("GET", "/readyz")).status, 503);
  }));
  await traffic.more(3);
  await traffic.end();
  traffic.assertWell();
});
