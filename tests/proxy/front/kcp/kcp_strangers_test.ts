import assert from "node:assert/strict";
import { createECDH } from "node:crypto";
import { requestWithOffer } from "../../../../lib/scp/v2/mod.ts";
import { Backend } from "../../../helpers/backend.ts";
import { BareKcp, kcp } from "../../../helpers/kcp_client.ts";
import { CONV, textOf } from "../../../helpers/kcp_stage.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { answerOn, openOver, record, resumeOver } from "../../../helpers/raw_client.ts";
import { settled, turn } from "../../../helpers/turns.ts";
import { writeAll } from "../../../../lib/link/link.ts";

const KEYS = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms", listen: [{ kcp: "127.0.0.1:0" }] };
const HELLO = "0\n782riWdFIwE=\n\n0";

function helloOfVersion2(): string {
  const ecdh = createECDH("prime256v1");
  const offer = { key: new Uint8Array(ecdh.generateKeys()), window: 65536 };
  const cacheSize = 65536;
  return requestWithOffer({ privateKey: 1n, target: "", flag: 0, dialect: "goscon", offer, cacheSize }).content;
}

for (const [version, hello] of [[1, HELLO], [2, helloOfVersion2()]] as const) {
  Deno.test(`no backend is dialled, and no key derived, before a client of version ${version} gives back a ts that was sent to it`, async () => {
    await using backend = new Backend();
    await using proxy = TestProxy.start({ ...KEYS, hosts: [{ addr: backend.address }] });
    using client = new BareKcp(proxy.address);
    const accepted = backend.accept();
    await client.say({ command: "push", sn: 0, data: textOf(record(hello)) });
    // It is sent again: not one of them is acknowledged.
    const [first, second] = [await client.next("push"), await client.next("push")];
    assert.equal(first.sn, second.sn);
    await client.say({ command: "ack", sn: 0, ts: (first.ts + 1_000_000) >>> 0, una: 1 });
    // Once this is answered, that has come.
    await client.say({ command: "ask" });
    await client.next("tell");
    assert.deepEqual([await settled(accepted), await proxy.size()], [false, 0]);
    assert.equal((await proxy.stats()).keyDerivations, 0);
    assert.equal((await proxy.gauges()).kcp.unproven, 1);
    await client.say({ command: "ack", sn: 0, ts: second.ts, una: 1 });
    await accepted;
    assert.deepEqual((await proxy.gauges()).versions, { 1: 0, 2: 0, [version]: 1 });
    assert.equal((await proxy.stats()).keyDerivations, version - 1);
  });
}

Deno.test("a resume that overtakes the proof waits for it, and meets 404 when the session does not begin", async () => {
  for (const isProven of [true, false]) {
    await using proxy = TestProxy.start({ ...KEYS, scp: { handshake_timeout: "1s" } });
    using client = new BareKcp(proxy.address);
    await client.say({ command: "push", sn: 0, data: textOf(record(HELLO)) });
    const { data, ts } = await client.next("push");
    const link = await kcp(proxy.address);
    await writeAll(link, record(`${data.slice(2).split("\n")[0]}\n1\n0\nAAAAAAAAAAA=`));
    const answer = answerOn(link);
    assert.equal(await settled(answer), false);
    if (isProven) await client.say({ command: "ack", sn: 0, ts, una: 1 });
    // The HMAC is wrong; of a session that there is not nobody knows.
    assert.equal(await answer, isProven ? "0\n401" : "0\n404");
    link.close();
  }
});

Deno.test("handshake_timeout ends a client that acknowledges nothing, and one that says but half of what it wants", async () => {
  for (const said of [HELLO, HELLO.slice(0, 5)]) {
    await using proxy = TestProxy.start({ ...KEYS, scp: { handshake_timeout: "100ms" } });
    using client = new BareKcp(proxy.address);
    const bytes = record(HELLO).slice(0, said.length + 2);
    await client.say({ command: "push", sn: 0, data: textOf(bytes) });
    const { reason } = await proxy.log.nth("handshake failed");
    assert.match(String(reason), /handshake_timeout of 100 ms is over/);
    const { conversations } = (await proxy.gauges()).kcp;
    assert.deepEqual([conversations, await proxy.size()], [0, 0]);
  }
});

Deno.test("what fails of clients whose address anybody could have written is logged once in a while, and counted", async () => {
  await using proxy = TestProxy.start(KEYS);
  for (let i = 1; i <= 5; i++) {
    using client = new BareKcp(proxy.address);
    await client.say({ command: "push", sn: 0, data: textOf(record("no request")) });
    while ((await proxy.stats()).handshakeErrors[400] !== i) await turn();
    // If that is lost, so is the ACK of what was said, which then comes again.
    assert.match((await client.next("push")).data, /^..0\n400/s);
    assert.equal((await proxy.gauges()).kcp.conversations, 0);
  }
  assert.equal(proxy.log.of("handshake failed").length, 1);
});

Deno.test("a client gets in while more sessions are asked for than may begin, by who is not there: it asks again", async () => {
  await using proxy = TestProxy.start(KEYS);
  using forged = new BareKcp(proxy.address);
  let conv = CONV;
  const forge = () => forged.say({ command: "push", conv: conv++, sn: 0, data: textOf(record(HELLO)) });
  while ((await proxy.stats()).kcp.junk.full < 100) await forge();
  const client = openOver(await kcp(proxy.address));
  while (!await settled(client)) await forge();
  using _client = await client; // it was answered
});

Deno.test("limits and deny hold over KCP: who is refused for want of room is told, who is denied hears nothing", async () => {
  await using proxy = TestProxy.start({ ...KEYS, limits: { sessions: 1 } });
  using _first = await openOver(await kcp(proxy.address));
  const second = await kcp(proxy.address);
  await writeAll(second, record(HELLO));
  assert.equal(await answerOn(second), "0\n501");
  second.close();
  assert.deepEqual([(await proxy.stats()).refused.sessions, await proxy.size()], [1, 1]);

  await using denying = TestProxy.start({ ...KEYS, deny: ["127.0.0.0/8"] });
  using client = new BareKcp(denying.address);
  await client.say({ command: "push", sn: 0, data: textOf(record(HELLO)) });
  assert.equal((await denying.log.nth("connection refused")).reason, "denied");
  assert.equal((await denying.gauges()).kcp.conversations, 0);
});

Deno.test("limits of an address hold over KCP from when that is proven: the answer is not followed by another", async () => {
  await using proxy = TestProxy.start({ ...KEYS, limits: { sessions_per_ip: 1 } });
  using _first = await openOver(await kcp(proxy.address));
  using client = new BareKcp(proxy.address);
  await client.say({ command: "push", sn: 0, data: textOf(record(HELLO)) });
  const { ts, sn } = await client.next("push");
  assert.equal((await proxy.stats()).refused.sessions_per_ip, 0);
  await client.say({ command: "ack", sn, ts, una: 1 });
  assert.match(String((await proxy.log.nth("handshake failed")).reason), /sessions_per_ip/);
  assert.deepEqual([await proxy.size(), (await proxy.gauges()).kcp.conversations], [1, 1]);
  // One that is forgotten is not begun by what is left of it, and was sent nothing since.
  await client.say({ command: "push", sn: 1, data: "more" });
  await proxy.log.nth("datagrams dropped");
  await client.say({ command: "push", conv: CONV + 1, sn: 0, data: textOf(record(HELLO)) });
  for (let push = await client.next("push"); push.conv === CONV; push = await client.next("push")) {
    assert.equal(push.sn, sn);
  }
});

Deno.test("limits.resume_failures_per_ip: who only writes an address has nobody kept out", async () => {
  await using proxy = TestProxy.start({ ...KEYS, limits: { resume_failures_per_ip: 1 } });
  using client = await openOver(await kcp(proxy.address));
  for (let i = 1; i <= 3; i++) {
    using stranger = new BareKcp(proxy.address);
    await stranger.say({ command: "push", sn: 0, data: textOf(record("1\n1\n0\nAAAAAAAAAAA=")) });
    while ((await proxy.stats()).resumes[404] !== i) await turn();
  }
  (await resumeOver(client, await kcp(proxy.address))).close();
  assert.equal((await proxy.stats()).refused.resume_failures_per_ip, 0);
});
