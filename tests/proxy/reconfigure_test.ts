import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { formatEndpoint, readRecord, writeAll } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import type { UpstreamInfo } from "../../lib/proxy/upstream/upstream.ts";
import { Backend, echo, readExactly } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { deadAddress } from "../helpers/dead_address.ts";
import { pattern } from "../helpers/random.ts";
import { ask, RawClient, record, tcp } from "../helpers/raw_client.ts";
import { turn } from "../helpers/turns.ts";

const HELLO = "0\n782riWdFIwE=\n\n0";
const ANY = { tcp: "127.0.0.1:0" };
const PLAIN = { ...ANY, dialect: "plain" };
const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

/** An address that nothing listens on. */
function freeAddress(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return `127.0.0.1:${listener.addr.port}`;
}

/** Has an address, shared with nobody, for a moment. */
function takeForAMoment(address: string): void {
  const [hostname, port] = address.split(":") as [string, string];
  Deno.listen({ hostname, port: Number(port) }).close();
}

/** Goes by these keys; unless told otherwise the listeners are those of `TestProxy`. */
function reconfigure(proxy: TestProxy, keys: Record<string, unknown>): Promise<void> {
  return proxy.proxy.reconfigure(parseConfig(JSON.stringify({ ...TestProxy.LISTEN, ...keys }), "test.yaml").config);
}

function addresses(proxy: TestProxy): string[] {
  return proxy.proxy.addresses.map(formatEndpoint);
}

async function upstreams(proxy: TestProxy): Promise<UpstreamInfo[]> {
  return (await proxy.proxy.snapshot()).upstreams;
}

/** Sends so many bytes, `at` bytes into the stream, to a backend that echoes. */
async function echoes(client: RawClient, at = 0, count = 100): Promise<void> {
  await client.send(pattern(at, count));
  assertSameBytes(await client.receive(count), pattern(at, count));
}

/** Where a new session goes, which is ended again. */
async function upstreamOf(
  proxy: TestProxy,
  { address = proxy.address, dialect = "goscon" }: { address?: string; dialect?: Dialect } = {},
): Promise<string> {
  using client = await RawClient.open(address, { dialect });
  await echoes(client);
  const { upstream } = (await proxy.proxy.session(client.id))!;
  await proxy.proxy.endSession(client.id);
  return upstream;
}

/** Resumes at another address than where it began. */
async function resumeAt(address: string, client: RawClient): Promise<void> {
  const { link, answer, rest } = await ask(address, client.resumeContent());
  const [received, code] = answer.split("\n");
  assert.match(code ?? "", /^200/);
  assert.equal(rest.length, 0);
  client.link.close();
  client.link = link;
  for (const chunk of client.session.missing(Number(received))) await writeAll(link, chunk.slice());
}

/** A new session is refused for that. */
async function assertRefused(proxy: TestProxy, refusal: string): Promise<void> {
  const { link, answer } = await ask(proxy.address, HELLO);
  link.close();
  assert.equal(answer, "0\n501");
  assert.equal(proxy.log.of("handshake failed").at(-1)?.reason, `501 Network Error: refused: ${refusal}`);
}

Deno.test("reconfigure() hosts: new sessions go to the new ones, those there are stay where they are, and resume", async () => {
  await using old = new Backend().serve(echo);
  await using young = new Backend().serve(echo);
  await using proxy = TestProxy.start({ hosts: [{ name: "game", addr: old.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address, { target: "game" });
  await echoes(client);
  await reconfigure(proxy, { hosts: [{ name: "game", addr: young.address }], shutdown_timeout: "10ms" });
  assert.deepEqual((await upstreams(proxy)).map(({ address }) => address), [young.address]);
  await echoes(client, 100);
  await client.resume();
  await echoes(client, 200);
  assert.equal((await proxy.proxy.session(client.id))!.upstream, old.address);
  assert.equal(await upstreamOf(proxy), young.address);
  assert.equal(proxy.log.of("session ended").length, 1);
});

Deno.test("reconfigure() keeps what is known of a host that stays, and takes its new weight, backup and room", async () => {
  await using first = new Backend().serve(echo);
  await using second = new Backend().serve(echo);
  const dead = deadAddress();
  let point = 0;
  await using proxy = TestProxy.start({
    hosts: [{ addr: dead }, { addr: first.address }, { addr: second.address }],
    shutdown_timeout: "10ms",
  }, { random: () => point });
  using client = await RawClient.open(proxy.address);
  await echoes(client);
  assert.equal((await proxy.proxy.session(client.id))!.upstream, first.address);
  await reconfigure(proxy, {
    hosts: [
      { addr: second.address, weight: 1 },
      { addr: first.address, weight: 3, max_sessions: 2 },
      { addr: dead, backup: true },
    ],
    shutdown_timeout: "10ms",
  });
  const known = (await upstreams(proxy)).map((
    { address, weight, backup, sessions, failures },
  ) => [address, weight, backup, sessions, failures]);
  assert.deepEqual(known, [
    [second.address, 1, false, 0, 0],
    [first.address, 3, false, 1, 0],
    [dead, 100, true, 0, 1],
  ]);
  point = 0.24;
  assert.equal(await upstreamOf(proxy), second.address);
  point = 0.26;
  using other = await RawClient.open(proxy.address);
  await echoes(other);
  assert.equal((await proxy.proxy.session(other.id))!.upstream, first.address);
  assert.equal(await upstreamOf(proxy), second.address, "the session from before counts for max_sessions");
  // The same address by another name is another host.
  await reconfigure(proxy, { hosts: [{ name: "x", addr: first.address }], shutdown_timeout: "10ms" });
  assert.deepEqual((await upstreams(proxy)).map(({ sessions }) => sessions), [0]);
});

Deno.test("reconfigure() balance: the next session goes by it", async () => {
  await using first = new Backend().serve(echo);
  await using second = new Backend().serve(echo);
  const hosts = [first, second].map(({ address }) => ({ addr: address }));
  await using proxy = TestProxy.start({ hosts, shutdown_timeout: "10ms" }, { random: () => 0 });
  for (let i = 0; i < 2; i++) assert.equal(await upstreamOf(proxy), first.address);
  await reconfigure(proxy, { hosts, upstream_option: { balance: "round_robin" }, shutdown_timeout: "10ms" });
  const seen = [];
  for (let i = 0; i < 4; i++) seen.push(await upstreamOf(proxy));
  assert.deepEqual(seen, [first, second, first, second].map(({ address }) => address));
});

Deno.test("reconfigure() without a listener frees its port at once; its sessions live on, and resume at another", async () => {
  await using proxy = TestProxy.start({ ...ECHO, listen: [ANY, { tcp: freeAddress(), dialect: "plain" }] });
  const [kept, gone] = addresses(proxy) as [string, string];
  using client = await RawClient.open(gone, { dialect: "plain" });
  await echoes(client);
  // Accepted before, and still in its handshake.
  const early = await tcp(gone);
  while ((await proxy.gauges()).handshakes === 0) await turn();
  await reconfigure(proxy, { ...ECHO, listen: [ANY] });
  assert.deepEqual(addresses(proxy), [kept]);
  takeForAMoment(gone);
  await assert.rejects(tcp(gone), /refused/);
  await echoes(client, 100);
  await writeAll(early, record(HELLO));
  assert.match((await readRecord(early))!.content, /^\d+\n/);
  early.close();
  await resumeAt(kept, client);
  await echoes(client, 200);
  assert.equal(await proxy.size(), 2);
  assert.equal(proxy.log.of("session ended").length, 0);
});

Deno.test("reconfigure() away from every listener there was: the sessions resume at the new one", async () => {
  await using proxy = TestProxy.start({ ...ECHO, listen: [{ tcp: freeAddress() }] });
  using client = await RawClient.open(proxy.address);
  await echoes(client);
  const before = proxy.address;
  const next = freeAddress();
  await reconfigure(proxy, { ...ECHO, listen: [{ tcp: next }] });
  assert.deepEqual(addresses(proxy), [next]);
  takeForAMoment(before);
  client.link.close();
  await proxy.log.nth("session lost");
  await resumeAt(next, client);
  await echoes(client, 100);
});

Deno.test("reconfigure() with another listener: it serves, in its dialect, and the others are as before", async () => {
  await using proxy = TestProxy.start({ ...ECHO, listen: [ANY] });
  using client = await RawClient.open(proxy.address);
  await echoes(client);
  const added = freeAddress();
  await reconfigure(proxy, { ...ECHO, listen: [{ tcp: added, dialect: "plain" }, ANY] });
  assert.deepEqual(addresses(proxy), [added, client.address], "in the order of the configuration");
  using other = await RawClient.open(added, { dialect: "plain" });
  await echoes(other);
  assert.equal((await proxy.proxy.session(other.id))!.dialect, "plain");
  await client.resume();
  await echoes(client, 100);
  // And once more the other way: it goes, and comes again.
  await reconfigure(proxy, { ...ECHO, listen: [ANY] });
  takeForAMoment(added);
  await reconfigure(proxy, { ...ECHO, listen: [ANY, { tcp: added }] });
  await upstreamOf(proxy, { address: added });
});

Deno.test("reconfigure() the dialect of a listener: new sessions speak it, one from before goes on and resumes as it was", async () => {
  await using proxy = TestProxy.start({ ...ECHO, listen: [ANY] });
  const { address } = proxy;
  using client = await RawClient.open(address);
  await echoes(client);
  await reconfigure(proxy, { ...ECHO, listen: [PLAIN] });
  assert.equal(proxy.address, address);
  using other = await RawClient.open(address, { dialect: "plain" });
  await echoes(other);
  await echoes(client, 100);
  const { link, answer } = await ask(address, client.resumeContent());
  assert.equal(answer, "200\n200 OK", "the answer has the form of the listener's dialect");
  client.link.close();
  client.link = link;
  await echoes(client, 200);
  assert.equal((await proxy.proxy.session(client.id))!.dialect, "goscon");
});

Deno.test("reconfigure() accept_proxy of a listener: it holds for the next connection at the same port", async () => {
  await using proxy = TestProxy.start({ ...ECHO, listen: [ANY] });
  const { address } = proxy;
  using client = await RawClient.open(address);
  await reconfigure(proxy, { ...ECHO, listen: [{ ...ANY, accept_proxy: true, trusted: ["127.0.0.1"] }] });
  const link = await tcp(address);
  const header = new TextEncoder().encode("PROXY TCP4 192.0.2.7 203.0.113.1 1234 443\r\n");
  await writeAll(link, Uint8Array.from([...header, ...record(HELLO)]));
  const id = Number((await readRecord(link))!.content.split("\n")[0]);
  assert.equal((await proxy.proxy.session(id))!.client, "192.0.2.7:1234");
  link.close();
  await echoes(client);
});

Deno.test("reconfigure() port 0: each entry keeps its port, through any number of changes", async () => {
  await using proxy = TestProxy.start(ECHO);
  const before = addresses(proxy);
  assert.equal(new Set(before).size, 2);
  for (let i = 0; i < 3; i++) {
    await reconfigure(proxy, { ...ECHO, limits: { sessions: 10 + i } });
    assert.deepEqual(addresses(proxy), before);
  }
  await reconfigure(proxy, { ...ECHO, listen: [PLAIN, ANY] });
  assert.deepEqual(addresses(proxy), before);
  await upstreamOf(proxy, { address: before[0]!, dialect: "plain" });
  await upstreamOf(proxy, { address: before[1]! });
  // One goes: the first entry keeps the first port.
  await reconfigure(proxy, { ...ECHO, listen: [ANY] });
  assert.deepEqual(addresses(proxy), before.slice(0, 1));
  takeForAMoment(before[1]!);
});

Deno.test("reconfigure() with an address in use rejects, and nothing has changed", async () => {
  await using old = new Backend().serve(echo);
  await using young = new Backend().serve(echo);
  const stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = `127.0.0.1:${stranger.addr.port}`;
  const [going, free] = [freeAddress(), freeAddress()];
  await using proxy = TestProxy.start({
    hosts: [{ addr: old.address, weight: 7 }],
    listen: [ANY, { tcp: going, dialect: "plain" }],
    shutdown_timeout: "10ms",
  });
  const before = addresses(proxy);
  using client = await RawClient.open(proxy.address);
  await echoes(client);
  const known = await upstreams(proxy);
  const next = {
    hosts: [{ addr: young.address }],
    limits: { sessions: 1 },
    deny: ["127.0.0.0/8"],
    upstream_option: { check: { interval: "1h" } },
    scp: { reuse_buffer: 1024 },
    shutdown_timeout: "10ms",
  };
  // Before and after the address in use: one to be opened, one whose dialect changes, and one that goes.
  await assert.rejects(
    reconfigure(proxy, { ...next, listen: [{ tcp: free }, PLAIN, { tcp: taken }, { tcp: "127.0.0.1:1" }] }),
    { message: `Cannot listen on ${taken}: the address is in use` },
  );
  assert.deepEqual(addresses(proxy), before);
  takeForAMoment(free);
  assert.deepEqual(await upstreams(proxy), known);
  assert.equal(await upstreamOf(proxy), old.address);
  assert.equal(await upstreamOf(proxy, { address: going, dialect: "plain" }), old.address);
  await echoes(client, 100);
  await client.resume();
  await echoes(client, 200);
  // What could not be had can be had later.
  stranger.close();
  await reconfigure(proxy, { ...ECHO, listen: [{ tcp: free }, PLAIN, { tcp: taken }] });
  assert.deepEqual(addresses(proxy), [free, before[0], taken]);
  assert.equal(await upstreamOf(proxy, { address: taken }), "builtin:echo");
});

Deno.test("reconfigure() rejects for an address that another proxy of this process has", async () => {
  await using other = TestProxy.start({ ...ECHO, listen: [{ tcp: freeAddress() }] });
  await using proxy = TestProxy.start(ECHO);
  await assert.rejects(reconfigure(proxy, { ...ECHO, listen: [{ tcp: other.address }] }), /the address is in use/);
  for (let i = 0; i < 8; i++) {
    await upstreamOf(other);
    await upstreamOf(proxy);
  }
});

Deno.test("reconfigure() limits: the next one is refused by them; what is counted goes on, and sessions stay", async () => {
  await using proxy = TestProxy.start({ ...ECHO, limits: { sessions_per_ip: 100 } });
  using first = await RawClient.open(proxy.address);
  using second = await RawClient.open(proxy.address);
  await reconfigure(proxy, { ...ECHO, limits: { sessions: 1 } });
  await assertRefused(proxy, "sessions");
  for (const client of [first, second]) {
    await client.resume();
    await echoes(client);
  }
  await reconfigure(proxy, { ...ECHO, limits: { sessions_per_ip: 2 } });
  await assertRefused(proxy, "sessions_per_ip");
  await proxy.proxy.endSession(first.id);
  using third = await RawClient.open(proxy.address);
  await echoes(third);
  await assertRefused(proxy, "sessions_per_ip");
  await reconfigure(proxy, ECHO);
  using fourth = await RawClient.open(proxy.address);
  await echoes(fourth);
});

Deno.test("reconfigure() deny and allow: the next connection is refused, also to resume; sessions stay, and resume when let", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await RawClient.open(proxy.address);
  await echoes(client);
  for (const [i, keys] of [{ deny: ["127.0.0.0/8"] }, { allow: ["192.0.2.0/24"] }].entries()) {
    await reconfigure(proxy, { ...ECHO, ...keys });
    const link = await tcp(proxy.address);
    assert.equal(await link.read(new Uint8Array(1)), null);
    link.close();
    assert.equal((await proxy.log.nth("connection refused", i + 1)).reason, "denied");
    await echoes(client, 100 * (i + 1));
  }
  await reconfigure(proxy, { ...ECHO, allow: ["127.0.0.1"] });
  await client.resume();
  await echoes(client, 300);
});

Deno.test("reconfigure() scp.reuse_time: it holds for the next loss, of a session from before too", async () => {
  await using proxy = TestProxy.start({ ...ECHO, scp: { reuse_time: "1h" } });
  using lost = await RawClient.open(proxy.address);
  using there = await RawClient.open(proxy.address);
  await echoes(lost);
  lost.link.close();
  await proxy.log.nth("session lost");
  await reconfigure(proxy, { ...ECHO, scp: { reuse_time: 0 } });
  await echoes(there);
  there.link.close();
  const { id, reason } = await proxy.log.nth("session ended");
  assert.deepEqual([id, reason], [there.id, "reuse_time is over"]);
  await lost.resume();
  await echoes(lost, 100);
});

Deno.test("reconfigure() scp.handshake_timeout: it holds for the next connection", async () => {
  await using proxy = TestProxy.start({ ...ECHO, scp: { handshake_timeout: "1h" } });
  const patient = await tcp(proxy.address);
  while ((await proxy.gauges()).handshakes === 0) await turn();
  await reconfigure(proxy, { ...ECHO, scp: { handshake_timeout: "10ms" } });
  const cut = await tcp(proxy.address);
  assert.equal(await cut.read(new Uint8Array(1)), null);
  cut.close();
  assert.match(String((await proxy.log.nth("handshake failed")).reason), /handshake_timeout of 10 ms is over/);
  await writeAll(patient, record(HELLO));
  assert.match((await readRecord(patient))!.content, /^\d+\n/);
  patient.close();
});

Deno.test("reconfigure() scp.reuse_buffer: it is that of new sessions; one from before keeps what it has", async () => {
  await using backend = new Backend();
  const keys = (reuse_buffer: number) => ({
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer },
    shutdown_timeout: "10ms",
  });
  await using proxy = TestProxy.start(keys(65536));
  /** Opens a session, whose client takes nothing of what it is sent. */
  const open = async () => {
    const client = await RawClient.open(proxy.address);
    return { client, far: await backend.accept() };
  };
  const send = async ({ client, far }: Awaited<ReturnType<typeof open>>) => {
    await writeAll(far, pattern(0, 50_000));
    while ((await proxy.proxy.session(client.id))!.sent < 50_000) await turn();
  };
  const [large, largeToo] = [await open(), await open()];
  using _large = large.client;
  using _largeToo = largeToo.client;
  await send(large);
  await reconfigure(proxy, keys(1024));
  const small = await open();
  using _small = small.client;
  for (const each of [largeToo, small]) await send(each);
  for (const { client } of [large, largeToo]) {
    await client.resume();
    assertSameBytes(await client.receive(50_000), pattern(0, 50_000));
  }
  const { link, answer } = await ask(proxy.address, small.client.resumeContent());
  link.close();
  assert.equal(answer, "0\n406");
  await reconfigure(proxy, keys(65536));
  const again = await open();
  using _again = again.client;
  await send(again);
  await again.client.resume();
  assertSameBytes(await again.client.receive(50_000), pattern(0, 50_000));
});

Deno.test("reconfigure() limits.cache_bytes: the caches of those who are away give way to it", async () => {
  await using backend = new Backend();
  const keys = (limits: Record<string, unknown>) => ({
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: "64KiB" },
    limits,
    shutdown_timeout: "10ms",
  });
  await using proxy = TestProxy.start(keys({}));
  using away = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await writeAll(far, pattern(0, 60_000));
  await away.receive(60_000);
  away.link.close();
  await proxy.log.nth("session lost");
  using there = await RawClient.open(proxy.address);
  const thereFar = await backend.accept();
  await reconfigure(proxy, keys({ cache_bytes: "64KiB" }));
  await assertRefused(proxy, "cache_bytes");
  await writeAll(thereFar, pattern(0, 60_000));
  await there.receive(60_000);
  assert.equal((await proxy.log.nth("resend cache released")).id, away.id);
  await reconfigure(proxy, keys({}));
  using other = await RawClient.open(proxy.address);
  (await backend.accept()).close();
  await other.receiveToEnd();
});

Deno.test("reconfigure() upstream_option.announce: it is how the next backend is told of its client", async () => {
  await using backend = new Backend();
  const hosts = [{ addr: backend.address }];
  await using proxy = TestProxy.start({ hosts, shutdown_timeout: "10ms" });
  using first = await RawClient.open(proxy.address);
  const far = await backend.accept();
  await reconfigure(proxy, { hosts, upstream_option: { announce: "proxy_v1" }, shutdown_timeout: "10ms" });
  using _second = await RawClient.open(proxy.address);
  const told = await readExactly(await backend.accept(), 10);
  assert.equal(new TextDecoder().decode(told), "PROXY TCP4");
  await first.send(pattern(0, 10));
  assertSameBytes(await readExactly(far, 10), pattern(0, 10));
});

Deno.test("reconfigure() while bytes flow both ways loses none, doubles none and cuts nobody", async () => {
  await using old = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: old.address }], shutdown_timeout: "10ms" });
  using client = await RawClient.open(proxy.address);
  const far = await old.accept();
  const total = 2_000_000;
  const flows = Promise.all([
    client.receive(total),
    readExactly(far, total),
    client.send(pattern(0, total, 1)),
    writeAll(far, pattern(0, total, 2)),
  ]);
  for (let i = 0; i < 10; i++) {
    const listen = i % 2 === 0 ? [ANY] : [ANY, { tcp: freeAddress() }];
    await reconfigure(proxy, { ...ECHO, listen, limits: { sessions: 1 + i }, scp: { reuse_buffer: 1024 * (1 + i) } });
    await turn();
  }
  const [down, up] = await flows;
  assertSameBytes(down, pattern(0, total, 2));
  assertSameBytes(up, pattern(0, total, 1));
  assert.equal(proxy.log.of("session lost").length, 0);
});

Deno.test("reconfigure() everything at once", async () => {
  await using backend = new Backend().serve(echo);
  const [first, second] = [freeAddress(), freeAddress()];
  await using proxy = TestProxy.start({ ...ECHO, listen: [{ tcp: first }, ANY] });
  const kept = addresses(proxy)[1]!;
  using client = await RawClient.open(first);
  await echoes(client);
  const last = {
    hosts: [{ name: "new", addr: backend.address }],
    listen: [PLAIN, { tcp: second }],
    limits: { sessions: 2 },
    scp: { reuse_time: "1h", reuse_buffer: "1MiB" },
    upstream_option: { balance: "least_conn", check: { interval: "1h" } },
    shutdown_timeout: "10ms",
  };
  await reconfigure(proxy, last);
  assert.deepEqual(addresses(proxy), [kept, second]);
  takeForAMoment(first);
  using other = await RawClient.open(kept, { dialect: "plain", target: "new" });
  await echoes(other);
  assert.equal((await proxy.proxy.session(other.id))!.upstream, backend.address);
  const { link, answer } = await ask(second, HELLO);
  link.close();
  assert.equal(answer, "0\n501");
  await resumeAt(second, client);
  await echoes(client, 100);
});

Deno.test("reconfigure() while draining: no new session is begun by it", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await RawClient.open(proxy.address);
  await proxy.proxy.drain();
  await reconfigure(proxy, ECHO);
  await assertRefused(proxy, "draining");
  await client.resume();
  await echoes(client);
});

Deno.test("reconfigure() to another address of a port that is ours needs no stranger's leave", async () => {
  const one = freeAddress();
  await using proxy = TestProxy.start({ ...ECHO, listen: [{ tcp: one }] });
  await reconfigure(proxy, { ...ECHO, listen: [{ tcp: one.replace("127.0.0.1", "0.0.0.0") }] });
  using client = await RawClient.open(one);
  await echoes(client);
  await reconfigure(proxy, { ...ECHO, listen: [{ tcp: one }] });
  using next = await RawClient.open(one);
  await echoes(next);
  await using any = TestProxy.start({ ...ECHO, listen: [ANY] });
  await reconfigure(any, { ...ECHO, listen: [{ tcp: any.address }] });
  using last = await RawClient.open(any.address);
  await echoes(last);
});

Deno.test("reconfigure() gives each listener that asks for any port one of its own", async () => {
  await using proxy = TestProxy.start({ ...ECHO, listen: [ANY] });
  const [before] = addresses(proxy);
  await reconfigure(proxy, { ...ECHO, listen: [ANY, PLAIN] });
  const [first, second] = addresses(proxy);
  assert.equal(first, before);
  assert.notEqual(first, second);
});

Deno.test("reconfigure() after stop() is refused, and opens nothing", async () => {
  const proxy = TestProxy.start(ECHO);
  await proxy.stop();
  await assert.rejects(
    reconfigure(proxy, { ...ECHO, listen: [ANY], upstream_option: { check: {} } }),
    /the proxy has been stopped/,
  );
});
