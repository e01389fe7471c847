import assert from "node:assert/strict";
import { readRecord, writeAll } from "../../../lib/link/link.ts";
import type { Refusal } from "../../../lib/proxy/stats.ts";
import { Backend, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { ask, RawClient, record, tcp } from "../../helpers/raw_client.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };
const HELLO = "0\n782riWdFIwE=\n\n0";

async function echoes(client: RawClient): Promise<void> {
  await client.send(pattern(0, 100));
  assertSameBytes(await client.receive(100), pattern(0, 100));
}

/** A new session is refused with 501, in words that an operator can act on, and counted. */
async function assertRefused(proxy: TestProxy, refusal: Refusal): Promise<void> {
  const before = (await proxy.stats()).refused[refusal];
  const { link, answer } = await ask(proxy.address, HELLO);
  link.close();
  assert.equal(answer, "0\n501");
  assert.equal((await proxy.stats()).refused[refusal], before + 1);
  assert.match(String(proxy.log.of("handshake failed").at(-1)?.reason), new RegExp(`refused: ${refusal}`));
}

Deno.test("limits.sessions: beyond it a new session is refused, one that is there resumes, and an end makes room", async () => {
  await using proxy = TestProxy.start({ ...ECHO, limits: { sessions: 2 } });
  using first = await RawClient.open(proxy.address);
  using second = await RawClient.open(proxy.address);
  await assertRefused(proxy, "sessions");
  await first.resume();
  await echoes(first);
  assert.equal(await proxy.proxy.endSession(second.id), true);
  assert.equal(await proxy.proxy.endSession(second.id), false);
  using third = await RawClient.open(proxy.address);
  await echoes(third);
});

Deno.test("limits.sessions_per_ip: beyond it a new session of that address is refused, until one has ended", async () => {
  await using proxy = TestProxy.start({ ...ECHO, limits: { sessions_per_ip: 1 } });
  using first = await RawClient.open(proxy.address);
  await assertRefused(proxy, "sessions_per_ip");
  await proxy.proxy.endSession(first.id);
  using next = await RawClient.open(proxy.address);
  await echoes(next);
});

Deno.test("limits.new_per_second_per_ip: beyond it a new session is refused", async () => {
  await using proxy = TestProxy.start({ ...ECHO, limits: { new_per_second_per_ip: 1 } }, { now: () => 0 });
  using first = await RawClient.open(proxy.address);
  await assertRefused(proxy, "new_per_second_per_ip");
  await echoes(first);
});

Deno.test("limits.handshakes: beyond it a connection is closed at once, and sessions go on", async () => {
  await using proxy = TestProxy.start({ ...ECHO, limits: { handshakes: 2 } });
  using client = await RawClient.open(proxy.address);
  const silent = [await tcp(proxy.address), await tcp(proxy.address)];
  while ((await proxy.gauges()).handshakes < 2) await echoes(client);
  const refused = await tcp(proxy.address);
  assert.equal(await refused.read(new Uint8Array(1)), null);
  assert.equal((await proxy.log.nth("connection refused")).reason, "handshakes");
  for (const link of [refused, ...silent]) link.close();
  await echoes(client);
});

Deno.test("limits.resume_failures_per_ip: beyond it resumes of that address are refused, new sessions are not", async () => {
  await using proxy = TestProxy.start({ ...ECHO, limits: { resume_failures_per_ip: 2 } });
  for (const expected of ["0\n404", "0\n404", "0\n501"]) {
    const { link, answer } = await ask(proxy.address, "1\n1\n0\nAAAAAAAAAAA=");
    link.close();
    assert.equal(answer, expected);
  }
  assert.equal((await proxy.stats()).refused.resume_failures_per_ip, 1);
  using client = await RawClient.open(proxy.address);
  await echoes(client);
});

Deno.test("limits.resume_failures_per_ip: a session that ended lately is no failure, nor a used index; a wrong hmac is", async () => {
  await using proxy = TestProxy.start({ ...ECHO, limits: { resume_failures_per_ip: 1 } });
  const answerTo = async (content: string) => {
    const { link, answer } = await ask(proxy.address, content);
    link.close();
    return answer;
  };
  using ended = await RawClient.open(proxy.address);
  await proxy.proxy.endSession(ended.id);
  for (let i = 0; i < 3; i++) assert.equal(await answerTo(ended.resumeContent()), "0\n404");
  using client = await RawClient.open(proxy.address);
  const used = client.resumeContent();
  await client.resume();
  assert.equal(await answerTo(used), "0\n403");
  assert.equal(await answerTo(`${client.id}\n9\n0\nAAAAAAAAAAA=`), "0\n401");
  assert.equal(await answerTo(ended.resumeContent()), "0\n501");
  assert.equal((await proxy.stats()).refused.resume_failures_per_ip, 1);
});

Deno.test("limits.cache_bytes: the caches of those who are there shrink before that of one who is away goes", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: "512KiB" },
    limits: { cache_bytes: "700KiB" },
    shutdown_timeout: "10ms",
  });
  const give = async (count: number) => {
    const client = await RawClient.open(proxy.address);
    const far = await backend.accept();
    await Promise.all([writeAll(far, pattern(0, count)), client.receive(count)]);
    return { client, far };
  };
  const { client: away } = await give(60_000);
  using _ = away;
  away.link.close();
  await proxy.log.nth("session lost");
  const { client: large, far } = await give(500_000);
  using _large = large;
  using _other = (await give(300_000)).client;
  const shrunk = await proxy.log.nth("resend cache shrunk");
  assert.deepEqual([shrunk.id, shrunk.from], [large.id, 512 * 1024]);
  assert.equal((await proxy.gauges()).cachesReleased, 0);
  assert((await proxy.gauges()).cachesShrunk >= 1);
  // What it lacks can still be sent again.
  await writeAll(far, pattern(0, 60_000));
  await large.resume();
  assertSameBytes(await large.receive(60_000), pattern(0, 60_000));
  await away.resume();
});

Deno.test("limits.cache_bytes: who is away longest cannot resume any more what it lacks, who is there can", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: "64KiB" },
    limits: { cache_bytes: "100KiB" },
    shutdown_timeout: "10ms",
  });
  using away = await RawClient.open(proxy.address);
  const awayFar = await backend.accept();
  await writeAll(awayFar, pattern(0, 60_000));
  await away.receive(60_000);
  away.link.close();
  await proxy.log.nth("session lost");
  using there = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await writeAll(far, pattern(0, 60_000));
  await there.receive(60_000);
  assert.equal((await proxy.log.nth("resend cache released")).id, away.id);
  assert.equal((await proxy.gauges()).cachesReleased, 1);
  assert.equal((await proxy.gauges()).cacheBytes, 65536);
  await there.resume();
  await writeAll(far, pattern(60_000, 10));
  assertSameBytes(await there.receive(10), pattern(60_000, 10));
  // It lacks nothing: its cache is not needed.
  await away.resume();
  await writeAll(awayFar, pattern(60_000, 10));
  assertSameBytes(await away.receive(10), pattern(60_000, 10));
});

Deno.test("deny: the connection is closed before a byte is read", async () => {
  await using proxy = TestProxy.start({ ...ECHO, deny: ["127.0.0.0/8"] });
  const link = await tcp(proxy.address);
  assert.equal(await link.read(new Uint8Array(1)), null);
  link.close();
  assert.equal((await proxy.log.nth("connection refused")).reason, "denied");
  assert.equal((await proxy.stats()).refused.denied, 1);
});

Deno.test("accept_proxy: the client is who the trusted proxy says, for the log, the backend and the limits", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    listen: [{ tcp: "127.0.0.1:0", accept_proxy: true, trusted: ["127.0.0.1"] }],
    hosts: [{ addr: backend.address }],
    upstream_option: { announce: "proxy_v1" },
    deny: ["127.0.0.0/8", "198.51.100.0/24"],
    shutdown_timeout: "10ms",
  });
  const link = await tcp(proxy.address);
  // In one piece: what comes after the header is the record, and after that the stream.
  const header = new TextEncoder().encode("PROXY TCP4 192.0.2.7 203.0.113.1 1234 443\r\n");
  await writeAll(link, Uint8Array.from([...header, ...record(HELLO)]));
  assert.match((await readRecord(link))!.content, /^\d+\n/);
  const far = await backend.accept();
  const first = "PROXY TCP4 192.0.2.7 203.0.113.1 1234 443\r\n";
  const told = new Uint8Array(first.length);
  await far.read(told);
  assert.equal(new TextDecoder().decode(told), first);
  assert.equal((await proxy.log.nth("session new")).client, "192.0.2.7:1234");
  link.close();
  const denied = await tcp(proxy.address);
  await writeAll(denied, new TextEncoder().encode("PROXY TCP4 198.51.100.9 203.0.113.1 1234 443\r\n"));
  assert.equal((await readRecord(denied))?.content, "0\n501");
  denied.close();
  assert.equal((await proxy.stats()).refused.denied, 1);
});

Deno.test("accept_proxy: an IPv4 address that is written as an IPv6 one is what it is", async () => {
  await using proxy = TestProxy.start({
    ...ECHO,
    listen: [{ tcp: "127.0.0.1:0", accept_proxy: true, trusted: ["127.0.0.1"] }],
  });
  const line = (text: string) => new TextEncoder().encode(`PROXY TCP6 ${text} ::ffff:203.0.113.1 1234 443\r\n`);
  const headers = [
    line("::ffff:192.0.2.7"),
    line("::FFFF:c000:207"),
    Uint8Array.fromHex(
      "0d0a0d0a000d0a515549540a21210024" + "00000000000000000000ffffc0000207" + "00000000000000000000ffffcb007101" +
        "04d201bb",
    ),
  ];
  for (const [i, header] of headers.entries()) {
    const link = await tcp(proxy.address);
    await writeAll(link, Uint8Array.from([...header, ...record(HELLO)]));
    const { client, local } = await proxy.log.nth("session new", i + 1);
    assert.deepEqual([client, local], ["192.0.2.7:1234", "203.0.113.1:443"]);
    link.close();
  }
});

/** A header of version 2 with the client 192.0.2.7:1234, that is so long in all. */
function headerOf(size: number): Uint8Array {
  const head = Uint8Array.fromHex(
    "0d0a0d0a000d0a515549540a2111" + "0000" + "c0000207" + "cb007101" + "04d2" + "01bb" + "04",
  );
  new DataView(head.buffer).setUint16(14, size - 16);
  const header = new Uint8Array(size);
  header.set(head);
  new DataView(header.buffer).setUint16(head.length, size - head.length - 2);
  return header;
}

Deno.test("accept_proxy: a header of version 2 is taken up to 4 KiB, whole or in pieces, with what comes after it", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    listen: [{ tcp: "127.0.0.1:0", dialect: "plain", accept_proxy: true, trusted: ["127.0.0.1"] }],
    hosts: [{ addr: backend.address }],
    shutdown_timeout: "10ms",
  });
  const stream = pattern(0, 5000);
  let sessions = 0;
  for (const size of [1041, 2049, 4096]) {
    for (const step of [1, 1000, 10_000]) {
      const bytes = Uint8Array.from([...headerOf(size), ...record(HELLO), ...stream]);
      const link = await tcp(proxy.address);
      const whole = size + record(HELLO).length;
      for (let at = 0; at < whole; at += step) await writeAll(link, bytes.subarray(at, Math.min(at + step, whole)));
      await writeAll(link, bytes.subarray(whole));
      assert.match((await readRecord(link))?.content ?? "refused", /^\d+\n/, `${size} bytes, ${step} at a time`);
      const far = await backend.accept();
      assertSameBytes(await readExactly(far, stream.length), stream);
      assert.equal((await proxy.log.nth("session new", ++sessions)).client, "192.0.2.7:1234");
      link.close();
      far.close();
    }
  }
});

Deno.test("accept_proxy: of a header that is too long the log says how long", async () => {
  await using proxy = TestProxy.start({
    ...ECHO,
    listen: [{ tcp: "127.0.0.1:0", accept_proxy: true, trusted: ["127.0.0.1"] }],
  });
  const link = await tcp(proxy.address);
  await writeAll(link, headerOf(4097).subarray(0, 16));
  assert.equal((await readToEnd(link)).length, 0);
  const { reason } = await proxy.log.nth("handshake failed");
  assert.equal(reason, "a PROXY header of 4097 bytes, where at most 4096 are taken");
  link.close();
});

Deno.test("accept_proxy: who is not trusted is refused, and so is a trusted one without the header", async () => {
  const listen = (trusted: string) => ({
    ...ECHO,
    listen: [{ tcp: "127.0.0.1:0", accept_proxy: true, trusted: [trusted] }],
  });
  await using distrusting = TestProxy.start(listen("192.0.2.0/24"));
  const stranger = await tcp(distrusting.address);
  assert.equal(await stranger.read(new Uint8Array(1)), null);
  stranger.close();
  assert.equal((await distrusting.log.nth("connection refused")).reason, "untrusted_proxy");
  await using trusting = TestProxy.start(listen("127.0.0.1"));
  const bare = await tcp(trusting.address);
  await writeAll(bare, record(HELLO));
  assert.equal((await readToEnd(bare)).length, 0);
  bare.close();
  assert.match(String((await trusting.log.nth("handshake failed")).reason), /PROXY protocol/);
});

Deno.test("tcp_option.read_timeout: a client of which nothing is heard is lost, and can resume", async () => {
  await using proxy = TestProxy.start({ ...ECHO, tcp_option: { read_timeout: "1ms" } });
  using client = await RawClient.open(proxy.address);
  await client.receiveToEnd();
  assert.match(String((await proxy.log.nth("session lost")).reason), /read_timeout/);
  await client.resume();
  await echoes(client);
});
