/** Clients that come back over another transport, at another node or edge than before. */
import assert from "node:assert/strict";
import type { Link } from "../../../lib/link/link.ts";
import type { Member } from "../../helpers/cluster/member.ts";
import { slotOf, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { OLD_RUNTIME } from "../../helpers/goscon.ts";
import { kcp } from "../../helpers/kcp_client.ts";
import { Random } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";

const FEC = { data: 3, parity: 1 };

/** How clients may come to a member: its listeners, in the order of its configuration. */
const LISTEN = [{ tcp: "0.0.0.0:0" }, { kcp: "0.0.0.0:0", fec: FEC }];
const OVER_TCP = 0;
const OVER_KCP = 1;

interface Way {
  member: Member;
  transport: typeof OVER_TCP | typeof OVER_KCP;
}

function dial({ member: { place, goscon }, transport }: Way): Promise<Link> {
  const address = `${place.hostname}:${goscon.addresses[transport]!.split(":").at(-1)}`;
  return transport === OVER_TCP ? tcp(address) : kcp(address, [FEC.data, FEC.parity]);
}

Deno.test("sessions of both versions go from KCP to TCP and back, each time to another node or edge", {
  ignore: Deno.build.os !== "linux" || OLD_RUNTIME,
}, async () => {
  const random = new Random();
  await using cluster = await TestCluster.start({ nodes: 2, edges: 1, keys: () => ({ listen: LISTEN }) });
  const members = cluster.members;
  // From each to the next one, over the other transport; after twice all of them the first comes again.
  const ways = Array.from({ length: 2 * members.length }, (_, i): Way => ({
    member: members[i % members.length]!,
    transport: i % 2 === 0 ? OVER_KCP : OVER_TCP,
  }));
  // Of each version some begin each way.
  await using traffic = await Traffic.open({
    ...{ address: "", sessions: 4 * ways.length, cutWithin: 40_000, random },
    dial: (_, { session, connection }) => dial(ways[(Math.floor(session / 2) + connection) % ways.length]!),
  });
  traffic.begin();
  while (traffic.talks.some(({ resumes }) => resumes < ways.length)) await traffic.more(1);
  await traffic.end();
  traffic.assertWell();
  const own = cluster.nodes.map((_, slot) => traffic.talks.filter(({ id }) => slotOf(id) === slot).length);
  for (const [i, member] of members.entries()) {
    assert.equal(await member.metric("goscon_sessions"), own[i] ?? 0, member.name);
    assert(await member.metric("goscon_kcp_segments_received_total") > 0, `${member.name} has had none of KCP`);
    assert.equal(await member.metric("goscon_resumes_total", 'code="404"'), 0, member.name);
    assert.deepEqual(member.eventsOf("internal error"), []);
  }
});
