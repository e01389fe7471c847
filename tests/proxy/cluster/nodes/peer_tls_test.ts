import assert from "node:assert/strict";
import type { ClusterTls } from "../../../../lib/config/types.ts";
import { type Link, writeAll } from "../../../../lib/link/link.ts";
import { TcpLink } from "../../../../lib/link/tcp.ts";
import { greet, type PeerOptions } from "../../../../lib/proxy/cluster/nodes/peer_door.ts";
import { descriptorsOf, untilDescriptors } from "../../../helpers/accepted.ts";
import { Authority } from "../../../helpers/authority.ts";
import { readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { WORKING } from "../../../helpers/engine.ts";
import {
  assertFault,
  assertRefused,
  errorOf,
  greeting,
  met,
  NODE,
  PEER_OPTIONS,
  type PeerStage,
  testPeers,
} from "../../../helpers/peer_stage.ts";
import { HAS_OPENSSL } from "../../../helpers/programs.ts";
import { pattern } from "../../../helpers/random.ts";
import { stalled } from "../../../helpers/turns.ts";

const NAME = "goscon-cluster";

/** What a test needs of certificates, which are made once. */
let made:
  | Promise<Record<"good" | "other" | "rogue" | "renewed" | "self" | "named" | "expired", ClusterTls>>
  | undefined;

function certificates() {
  return made ??= (async () => {
    using authority = await Authority.make();
    using stranger = await Authority.make();
    const { caFile, ca } = await authority.issue(NAME);
    // Who has them takes those that are good.
    const takingGood = (tls: ClusterTls) => ({ ...tls, caFile, ca, name: NAME });
    return {
      good: await authority.issue(NAME),
      renewed: await authority.issue(NAME),
      other: await stranger.issue(NAME),
      rogue: takingGood(await stranger.issue(NAME)),
      self: await authority.selfSigned(NAME),
      named: takingGood(await authority.issue("another-cluster")),
      expired: await authority.issue(NAME, { days: -1 }),
    };
  })();
}

const having = (tls: ClusterTls, change: Partial<PeerOptions> = {}) => ({
  options: { ...PEER_OPTIONS, secrets: [], tls, ...change },
});

const test = (what: string, run: (stage: PeerStage) => Promise<void>) =>
  testPeers(HAS_OPENSSL ? WORKING : [], what, run);

async function converse(one: Link, other: Link): Promise<void> {
  for (const [from, to] of [[one, other], [other, one]] as const) {
    const sending = writeAll(from, pattern(0, 100_000));
    assertSameBytes(await readExactly(to, 100_000), pattern(0, 100_000));
    await sending;
  }
}

test("peers with certificates for the name meet, with a secret or without", async (stage) => {
  const { good, renewed } = await certificates();
  for (const secrets of [[], ["a secret"]]) {
    const { dialled, greeted } = met(await stage.meet(having(good, { secrets }), having(renewed, { secrets })));
    assert.deepEqual(dialled.from, NODE);
    await converse(dialled.link, greeted.link);
    greeted.link.close();
  }
});

test("with certificates a secret is asked for all the same", async (stage) => {
  const { good } = await certificates();
  const one = having(good, { secrets: ["one"] });
  for (const secrets of [[], ["another"]]) {
    assertRefused(await stage.meet(having(good, { secrets }), one), "rejected", /none of the secrets/);
  }
  assertRefused(await stage.meet(one, having(good)), "rejected", /who is dialled none/);
});

test("a node whose certificate is not good is not taken for a peer by who dials", async (stage) => {
  const { good, self, rogue, other, named, expired } = await certificates();
  const cases = [[self, /not trusted/], [rogue, /not trusted/], [other, /not trusted/]] as const;
  for (const [tls, reason] of [...cases, [named, /not for goscon-cluster/], [expired, /expired/]] as const) {
    const { dialled, greeted } = await stage.meet(having(good), having(tls));
    assertFault(dialled, "rejected", reason);
    assert(greeted instanceof Error);
  }
});

test("who dials with a certificate that is not good is not let in, and learns of it", async (stage) => {
  const { good, self, rogue, named, expired } = await certificates();
  const cases = [[self, /not taken \(UNABLE_TO_VERIFY/], [rogue, /not taken \(/], [
    expired,
    /not taken \(.*EXPIRED/,
  ]] as const;
  for (const [tls, reason] of [...cases, [named, /not for goscon-cluster/]] as const) {
    const { dialled, greeted } = await stage.meet(having(tls), having(good));
    assertFault(greeted, "rejected", reason);
    assertFault(dialled, "rejected", /may not take our certificate/);
  }
});

test("who dials without a certificate is not let in, and hears nothing", async (stage) => {
  const { good } = await certificates();
  const greeted = errorOf(stage.accept().then((link) => greet(link, greeting(having(good)))));
  const { port } = stage.addr;
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
  const conn = await Deno.startTls(tcp, { hostname: NAME, caCerts: [good.ca] });
  const link = new TcpLink(conn, { keepAlive: false });
  const heard = readToEnd(link).catch(() => new Uint8Array(0));
  assertFault(await greeted, "rejected", /certificate/);
  assert.equal((await heard).length, 0);
  link.close();
});

test("where a certificate of an authority is none, nobody is trusted", async (stage) => {
  const { good } = await certificates();
  for (const ca of ["", "nonsense"]) {
    const broken = having({ ...good, ca });
    assertFault((await stage.meet(broken, having(good))).dialled, "rejected", /./);
    assertFault((await stage.meet(having(good), broken)).greeted, "rejected", /./);
  }
  const broken = having({ ...good, key: "nonsense" });
  assertFault((await stage.meet(broken, having(good))).dialled, "rejected", /./);
  assertFault((await stage.meet(having(good), broken)).greeted, "rejected", /./);
});

test("one end with TLS and one without refuse each other, and both say that this is the difference", async (stage) => {
  const { good } = await certificates();
  const withTls = having(good, { secrets: PEER_OPTIONS.secrets });
  const { dialled, greeted } = await stage.meet(withTls, {});
  assertFault(dialled, "rejected", /it speaks without TLS, and cluster.tls is set here/);
  assertFault(greeted, "rejected", /it speaks TLS, and cluster.tls is not set here/);
  // Who has TLS waits for the other end to begin, and so does who has none: the one that dials gives up, and says why.
  const silent = await stage.meet({ timeout: 50 }, withTls);
  assertFault(silent.dialled, "unreachable", /within 50 ms.*cluster.tls would, which is not set here/);
  assertFault(silent.greeted, "rejected", /it speaks without TLS, and cluster.tls is set here/);
});

test("a stranger that stops in the middle of the handshake of TLS is cut, or known to have gone", async (stage) => {
  const { good } = await certificates();
  const hello = await clientHello();
  for (const said of [0, 5, 100, hello.length]) {
    const [near, far] = await stage.stage.pair();
    await writeAll(near, hello.subarray(0, said));
    assertFault(await errorOf(greet(far, greeting({ ...having(good), timeout: 20 }))), "unreachable", /within 20 ms/);
    await readToEnd(near).catch(() => {});
    for (const how of ["close", "reset"] as const) {
      const [near, far] = await stage.stage.pair();
      const greeted = errorOf(greet(far, greeting(having(good))));
      await writeAll(near, hello.subarray(0, said));
      near[how]();
      assertFault(await greeted, "unreachable", /broke off/);
    }
  }
  const [near, far] = await stage.stage.pair();
  const greeted = errorOf(greet(far, greeting(having(good))));
  await writeAll(near, new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  assertFault(await greeted, "rejected", /without TLS/);
});

/** What a client of TLS says first. */
async function clientHello(): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const far = new TcpLink(await listener.accept(), { keepAlive: false });
  const tls = await Deno.startTls(conn, { hostname: NAME });
  const failing = errorOf(tls.handshake());
  const [type, high, low, a, b] = await readExactly(far, 5);
  const rest = await readExactly(far, a! << 8 | b!);
  far.close();
  await failing;
  tls.close();
  return Uint8Array.from([type!, high!, low!, a!, b!, ...rest]);
}

test("a dialled end that goes in the middle of the handshake of TLS is known to have gone", async (stage) => {
  const { good } = await certificates();
  for (const how of ["close", "reset"] as const) {
    const dialling = errorOf(stage.dial(having(good)));
    (await stage.accept())[how]();
    assertFault(await dialling, "unreachable", /broke off/);
  }
  const silent = errorOf(stage.dial({ ...having(good), timeout: 20 }));
  const far = await stage.accept();
  assertFault(await silent, "unreachable", /within 20 ms/);
  await readToEnd(far);
});

test("with TLS nothing is left open by peers that were refused, gave up, or met", async (stage) => {
  const { good, self, named } = await certificates();
  const meet = async () => {
    const { dialled, greeted } = met(await stage.meet(having(good), having(good)));
    dialled.link.close();
    greeted.link.close();
  };
  await meet(); // what is made once is there
  await stalled(descriptorsOf);
  const before = descriptorsOf();
  for (let round = 0; round < 3; round++) {
    await stage.meet(having(good), having(self));
    await stage.meet(having(self), having(good));
    await stage.meet(having(named), having(good));
    await meet();
    const silent = errorOf(stage.dial({ ...having(good), timeout: 5 }));
    (await stage.accept()).close();
    await silent;
  }
  await untilDescriptors(before);
});
