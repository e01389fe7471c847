/** Clients that take what they are sent much slower than it comes, and come back to other nodes than their session's. */
import assert from "node:assert/strict";
import type { Link } from "../../../lib/link/link.ts";
import { Authority } from "../../helpers/authority.ts";
import { BareWebSocket } from "../../helpers/bare_web_socket.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { type ClusterPlan, TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { OLD_RUNTIME } from "../../helpers/goscon.ts";
import { HAS_OPENSSL } from "../../helpers/programs.ts";
import { pattern } from "../../helpers/random.ts";
import { openOver, resumeOver } from "../../helpers/raw_client.ts";
import { SmallLink } from "../../helpers/small_link.ts";
import { stalled } from "../../helpers/turns.ts";

const IS_LINUX = Deno.build.os === "linux";
const TOTAL = 2 * 2 ** 20;
const ROUNDS = 6;
/** Until what is on its way has filled whatever holds it. */
const TURNS = 20_000;

/** Sends all of it, as fast as it is taken. */
function flood(far: Link) {
  const state = { sent: 0, done: Promise.resolve() };
  const send = async () => {
    const bytes = pattern(0, TOTAL);
    while (state.sent < TOTAL) state.sent += await far.write(bytes.subarray(state.sent, state.sent + 16 * 1024));
  };
  state.done = send();
  state.done.catch(() => {}); // the test tells
  return state;
}

/** How a client comes. `number`: of the listener. */
interface Way {
  number: number;
  over: (link: Link) => Link | Promise<Link>;
}

const TCP: Way = { number: 0, over: (link) => link };
const WEB_SOCKET: Way = { number: 1, over: (link) => BareWebSocket.open(link) };

/** Takes all, and breaks off again and again when nothing more comes to be on its way; it comes back to the others in turn. */
async function takeAll(plan: Omit<ClusterPlan, "nodes">, { number, over }: Way): Promise<void> {
  await using cluster = await TestCluster.start({
    nodes: 2,
    edges: 1,
    isServed: false,
    keys: () => ({ io: "epoll", listen: [{ tcp: "0.0.0.0:0" }, { ws: "0.0.0.0:0" }] }),
    ...plan,
  });
  const [home, ...others] = cluster.members.map(({ place, goscon }) =>
    `${place.hostname}:${goscon.addresses[number]!.split(":").at(-1)}`
  );
  let below = new SmallLink(home!);
  using client = await openOver(await over(below));
  const far = await cluster.backend.accept();
  const sending = flood(far);
  let received = 0;
  const take = async (count: number) => {
    assertSameBytes(await client.receive(count), pattern(received, count));
    received += count;
  };
  for (let round = 0; round < ROUNDS; round++) {
    await stalled(() => sending.sent, TURNS);
    await take(50_000);
    await stalled(() => sending.sent, TURNS);
    below.reset();
    below = new SmallLink(others[round % others.length]!);
    (await resumeOver(client, await over(below))).close();
  }
  await take(TOTAL - received);
  await sending.done;
  assert.equal(await cluster.nodes[0]!.metric("goscon_resumes_total", 'code="200"'), ROUNDS);
}

const NAME = "a slow client of version 1 that breaks off again and again is never refused when it is carried";

Deno.test(NAME, { ignore: !IS_LINUX }, () => takeAll({}, TCP));

Deno.test(`${NAME}: over a WebSocket`, { ignore: !IS_LINUX || OLD_RUNTIME }, () => takeAll({}, WEB_SOCKET));

Deno.test(`${NAME}: with TLS between nodes`, { ignore: !IS_LINUX || !HAS_OPENSSL || OLD_RUNTIME }, async () => {
  using authority = await Authority.make();
  const { caFile: ca, certFile: cert, keyFile: key } = await authority.issue("goscon-cluster");
  await takeAll({ cluster: () => ({ secrets: [], tls: { ca, cert, key } }) }, TCP);
});
