/** Nodes that speak TLS to each other, and clients that speak it, or come over WebSockets. */
import assert from "node:assert/strict";
import { dial } from "../../../lib/link/dial.ts";
import type { Link } from "../../../lib/link/link.ts";
import { TlsConnector } from "../../../lib/link/tls_connector.ts";
import { Authority } from "../../helpers/authority.ts";
import { Certificates } from "../../helpers/certificates.ts";
import { TestCluster } from "../../helpers/cluster/test_cluster.ts";
import { Traffic } from "../../helpers/cluster/traffic.ts";
import { place } from "../../helpers/flaky.ts";
import { CAN_UPGRADE, OLD_RUNTIME } from "../../helpers/goscon.ts";
import { HAS_OPENSSL } from "../../helpers/programs.ts";
import { Random } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { linkOver, openWebSocket } from "../../helpers/web_socket.ts";

Deno.test("over TLS, WebSockets and TCP in turn, and TLS between nodes, no byte is wrong and no session is lost", {
  ignore: !HAS_OPENSSL || OLD_RUNTIME, // which has no server's end of node:tls
}, async () => {
  const random = new Random();
  using authority = await Authority.make();
  using certificates = new Certificates();
  const peer = await authority.issue("goscon-cluster");
  const server = await certificates.make("server");
  await using cluster = await TestCluster.start({
    nodes: 3,
    keys: (cluster, slot) => {
      const at = { tcp: `${cluster.nodes[slot!]!.place.hostname}:0` };
      return { listen: [at, { ...at, tls: server.files }, { ws: at.tcp }] };
    },
    cluster: () => ({ secrets: [], tls: { ca: peer.caFile, cert: peer.certFile, key: peer.keyFile } }),
  });
  const engine = new TlsConnector({ ca: server.cert, servername: "localhost" });
  /** Opens a connection to any node, in any way. */
  const dialAny = async (): Promise<Link> => {
    const kind = random.int(0, 2);
    const address = cluster.nodes[random.int(0, 2)]!.goscon.addresses[kind]!;
    if (kind === 0) return await tcp(address);
    return kind === 1
      ? await dial(place(address), { timeout: 10_000, engine })
      : linkOver(await openWebSocket(address));
  };
  await using traffic = await Traffic.open({ address: "", sessions: 24, cutWithin: 50_000, random, dial: dialAny });
  traffic.begin();
  await traffic.more(4);
  if (CAN_UPGRADE) {
    const { status, result } = await cluster.nodes[0]!.upgrade();
    assert.equal(status, 200, JSON.stringify(result));
  }
  await traffic.more(4);
  await traffic.end();
  traffic.assertWell();
  assert(traffic.resumes(1) > 10 && traffic.resumes(2) > 10, `${traffic.resumes(1)} and ${traffic.resumes(2)}`);
});
