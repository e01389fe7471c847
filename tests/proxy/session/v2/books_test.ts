import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { ServerKeys } from "../../../../lib/proxy/session/v2/server_keys.ts";
import { CacheBudget } from "../../../../lib/proxy/session/cache/cache_budget.ts";
import { AckedProxySession } from "../../../../lib/proxy/session/v2/acked_proxy_session.ts";
import { ResumeKey } from "../../../../lib/proxy/session/v2/resume_key.ts";
import { Stats } from "../../../../lib/proxy/stats.ts";
import { AckedSession, requestWithOffer } from "../../../../lib/scp/v2/mod.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend } from "../../../helpers/backend.ts";
import { ManualFlowLink } from "../../../helpers/manual_flow.ts";
import { TestLog, TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { ask, RawClient } from "../../../helpers/raw_client.ts";
import { turn } from "../../../helpers/turns.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

/** A key of P-256 that is a client's: the base point. */
const POINT = Uint8Array.from([
  ...[0x04],
  ...Uint8Array.fromHex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
  ...Uint8Array.fromHex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
]);

Deno.test("sessions are counted by version, and told of with theirs; those that ended are remembered", async () => {
  await using proxy = TestProxy.start(ECHO);
  using old = await RawClient.open(proxy.address);
  using one = await AckedClient.open(proxy.address);
  using two = await AckedClient.open(proxy.plainAddress, { dialect: "plain" });
  await proxy.log.nth("session new", 3);
  assert.deepEqual((await proxy.gauges()).versions, { 1: 1, 2: 2 });
  assert.equal((await proxy.stats()).keyDerivations, 2);
  const versions = proxy.log.of("session new").map(({ id, version }) => [id, version]);
  assert.deepEqual(new Map(versions as [number, number][]), new Map([[old.id, 1], [one.id, 2], [two.id, 2]]));
  assert.equal((await proxy.gauges()).gone, 0);
  for (const { id } of [old, one]) assert.equal(await proxy.proxy.endSession(id), true);
  const { versions: left, gone, keysWaiting } = await proxy.gauges();
  assert.deepEqual([left, gone, keysWaiting], [{ 1: 0, 2: 1 }, 1, 0]);
});

Deno.test("a resume that is told how its session ended counts as 410, not as one that succeeded", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await AckedClient.open(proxy.address);
  await client.resume();
  assert.deepEqual((await proxy.stats()).resumes, { 200: 1 });
  await proxy.proxy.endSession(client.id);
  assert.equal(await client.askEnd(), 3);
  assert.deepEqual((await proxy.stats()).resumes, { 200: 1, 410: 1 });
});

Deno.test("what waits for a backend counts as memory of windows, until the backend takes it", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  using client = await AckedClient.open(proxy.address);
  const far = await backend.accept();
  const all = 8_000_000; // more than a socket's buffers hold
  const sending = client.send(pattern(0, all));
  for (let waiting = 0; waiting < 100_000; await turn()) waiting = (await proxy.gauges()).windowBytes;
  const buffer = new Uint8Array(65_536);
  for (let got = 0; got < all;) got += (await far.read(buffer))!;
  await sending;
  for (let waiting = 1; waiting > 0; await turn()) waiting = (await proxy.gauges()).windowBytes;
});

Deno.test("a MOVE reaches a client that is there, counts, and is in the log", async () => {
  await using proxy = TestProxy.start(ECHO);
  using old = await RawClient.open(proxy.address);
  using client = await AckedClient.open(proxy.address);
  const { proxy: plane } = proxy;
  assert.equal(await plane.moveSession(client.id, "tcp://b.example:1248"), "moved");
  await client.until(() => client.moves.length === 1);
  assert.equal(await plane.moveSession(client.id, ""), "moved");
  await client.until(() => client.moves.length === 2);
  assert.deepEqual(client.moves, ["tcp://b.example:1248", ""]);
  assert.equal(await plane.moveSession(old.id, ""), "version 1");
  client.stream.detach("cut");
  await proxy.log.nth("session lost");
  assert.equal(await plane.moveSession(client.id, ""), "away");
  await plane.endSession(client.id);
  assert.equal(await plane.moveSession(client.id, ""), "not there");
  assert.equal((await proxy.stats()).moves, 2);
  const told = proxy.log.of("session told to move").map(({ id, url }) => [id, url]);
  assert.deepEqual(told, [[client.id, "tcp://b.example:1248"], [client.id, ""]]);
});

Deno.test("a link that answers no PING is given up, which is counted once", () => {
  const [stats, log] = [new Stats(), new TestLog()];
  const sizes = { cacheSize: 65_536, window: 4096, peerWindow: 4096 };
  const session = new AckedProxySession(
    new AckedSession({ id: 7, secret: 1n, dialect: "plain", ...sizes }),
    { hostname: "192.0.2.1", port: 5 },
    {
      key: new ResumeKey(new Uint8Array(32)),
      reuseTime: 3_600_000,
      // Over as soon as the clock has moved at all.
      liveness: { pingInterval: 1e-9, pingTimeout: 1e-9 },
      onGone: () => {},
    },
    {
      ...{ log, stats, budget: new CacheBudget(0) },
      halfOpenTimeout: () => 0,
      soon: queueMicrotask,
      connect: () => new Promise(() => {}),
      onEnded: () => {},
      onClosed: () => {},
      onLeft: () => {},
    },
  );
  const opening = { answer: new Uint8Array(1), rest: new Uint8Array(0), target: "", flag: 0 };
  const link = new ManualFlowLink();
  session.run(link, opening);
  for (let looks = 0; !link.flow.isClosed && looks < 1_000_000; looks++) session.look(0);
  assert.equal(stats.pingTimeouts, 1);
  assert.match(String(log.of("session lost")[0]?.reason), /ping_timeout/);
  session.look(0);
  assert.equal(stats.pingTimeouts, 1, "there is no link any more");
  session.abort("admin");
});

Deno.test("keys of too many new sessions are refused, and one that is refused counts against no limit", async () => {
  const keys = new ServerKeys(setImmediate, 10);
  const derived = Array.from({ length: 10 }, () => keys.for(POINT).derive());
  assert.equal(keys.waiting, 10);
  assert.equal(await keys.for(POINT).derive(), undefined);
  for (const secret of await Promise.all(derived)) assert.equal(secret?.length, 32);
  assert.equal(keys.waiting, 0);

  await using proxy = TestProxy.start({ ...ECHO, limits: { sessions: 1 } });
  const { for: keysFor } = ServerKeys.prototype;
  ServerKeys.prototype.for = function (key) {
    return { ...keysFor.call(this, key), derive: () => Promise.resolve(undefined) };
  };
  try {
    const { content } = requestWithOffer({
      ...{ privateKey: 1n, target: "", flag: 0, dialect: "goscon", cacheSize: 65_536 },
      offer: { key: POINT, window: 4096 },
    });
    const { link, answer } = await ask(proxy.address, content);
    link.close();
    assert.equal(answer, "0\n501");
  } finally {
    ServerKeys.prototype.for = keysFor;
  }
  const { refused, keyDerivations } = await proxy.stats();
  assert.deepEqual([refused.key_derivations, keyDerivations], [1, 0]);
  assert.match(String((await proxy.log.nth("handshake failed")).reason), /key_derivations/);
  using _client = await AckedClient.open(proxy.address);
});

/** How a session ended, whose client did that: its kind, and the reason that the log tells. */
async function endOf(end: (client: AckedClient) => unknown, v2: Record<string, unknown> = {}): Promise<string[]> {
  await using backend = new Backend();
  const config = { hosts: [{ addr: backend.address }], scp: { v2 }, shutdown_timeout: "10ms" };
  await using proxy = TestProxy.start(config);
  using client = await AckedClient.open(proxy.address);
  const far = await backend.accept();
  await proxy.log.nth("session new");
  await end(client);
  const { reason } = await proxy.log.nth("session ended");
  far.close();
  const { sessionsEnded } = await proxy.stats();
  return [...Object.entries(sessionsEnded).filter(([, n]) => n === 1).map(([kind]) => kind), String(reason)];
}

Deno.test("each end is counted by its kind, and its reason says what to look at", async () => {
  assert.deepEqual(await endOf((client) => client.stream.close(0, "")), ["client_closed", "closed by the client"]);
  const left = await endOf((client) => client.stream.close(7, "the player left"));
  assert.deepEqual(left, ["client_gave_up", "given up by the client: the player left"]);
  const odd = await endOf((client) => client.stream.close(4, "an odd frame"));
  assert.deepEqual(odd, ["client_gave_up", "given up by the client (4, a violation of the protocol): an odd frame"]);
  const broken = await endOf((client) => client.stream.move(""));
  assert.deepEqual(broken, ["protocol_error", "the client broke the protocol: a MOVE, which only a server sends"]);
  const away = await endOf((client) => client.stream.detach("cut"), { reuse_time: "1ms" });
  assert.deepEqual(away, ["reuse_timeout", "reuse_time is over (scp.v2.reuse_time)"]);
  const half = await endOf((client) => client.stream.finish(), { half_open_timeout: "1ms" });
  assert.deepEqual(half, ["limit", "it was half-closed for 1 ms (scp.v2.half_open_timeout)"]);
});
