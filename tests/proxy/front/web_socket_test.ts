import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { mock } from "node:test";
import { readPair } from "../../../lib/admin/config_file.ts";
import { Connection } from "../../../lib/client/connection.ts";
import { parseConfig } from "../../../lib/config.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { Backend, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { testBackPressure, testLinkContract } from "../../helpers/link_contract.ts";
import { HAS_OPENSSL, makePair } from "../../helpers/programs.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { openOver, RawClient, resumeOver, resumeWithBytesUnderWay, tcp } from "../../helpers/raw_client.ts";
import { stalled, turn } from "../../helpers/turns.ts";
import { linkOver, type OpenOptions, openWebSocket, refusalOf } from "../../helpers/web_socket.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };
const WS = { ws: "127.0.0.1:0", path: "/scp" };
const CACHE = 64 * 2 ** 20;

/** A proxy with a listener of WebSockets, then one of TCP. */
function start(keys: Record<string, unknown> = {}, ws: Record<string, unknown> = {}): TestProxy {
  return TestProxy.start({ ...ECHO, listen: [{ ...WS, ...ws }, { tcp: "127.0.0.1:0" }], ...keys });
}

const openSession = async (address: string, options: OpenOptions = {}) =>
  await openOver(linkOver(await openWebSocket(address, options)));

async function echoes(client: RawClient, count = 100): Promise<void> {
  const sent = pattern(0, count);
  const [got] = await Promise.all([client.receive(count), client.send(sent)]);
  assertSameBytes(got, sent);
}

/** A session over WebSockets, and the backend's end of it. */
async function sessionPair(longest: number) {
  const backend = new Backend();
  const proxy = start({ hosts: [{ addr: backend.address }], scp: { reuse_buffer: CACHE, reuse_time: "2s" } });
  const random = new Random();
  const dial = async () => linkOver(await openWebSocket(proxy.address), { longest, next: () => random.next() });
  const [near, far] = await Promise.all([Connection.open({ dial, cacheSize: CACHE }), backend.accept()]);
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.close();
      await backend[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

testLinkContract("a session over WebSockets", 200_000, () => sessionPair(65536));
testLinkContract("a session over WebSockets, in tiny messages,", 20_000, () => sessionPair(7));
testBackPressure("a session over WebSockets", () => sessionPair(65536));
testBackPressure("the backend of a session over WebSockets", async () => {
  const { near, far, ...rest } = await sessionPair(65536);
  return { near: far, far: near, ...rest };
});

Deno.test("a session begun over TCP resumes over a WebSocket, and back, with bytes under way each time", async () => {
  await using backend = new Backend();
  await using proxy = start({ hosts: [{ addr: backend.address }], scp: { reuse_buffer: "1MiB" } });
  using client = await openOver(await tcp(proxy.plainAddress));
  const far = await backend.accept();
  const overWebSocket = async () => linkOver(await openWebSocket(proxy.address));
  const overTcp = () => tcp(proxy.plainAddress);
  await resumeWithBytesUnderWay(client, far, [overWebSocket, overTcp, overWebSocket, overTcp]);
  assert.equal(proxy.log.of("session resumed").length, 4);
});

Deno.test("a listener of WebSockets with tls serves wss", { ignore: !HAS_OPENSSL }, async () => {
  const dir = await Deno.makeTempDir();
  const files = await makePair(dir, "one");
  const keys = { ...ECHO, listen: [{ ...WS, tls: files }] };
  await using proxy = TestProxy.of(parseConfig(JSON.stringify(keys), "test.yaml", readPair).config);
  using client = await openSession(proxy.address, { ca: await Deno.readTextFile(files.cert) });
  await echoes(client, 1_000_000);
  await Deno.remove(dir, { recursive: true });
});

const UPGRADE = "GET /scp HTTP/1.1\r\nHost: game.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

/** How a request that a test wrote itself is refused. The connection is closed after it. */
async function rawRefusal(address: string, head: string): Promise<{ status: number; body: string }> {
  const link = await tcp(address);
  await writeAll(link, new TextEncoder().encode(`${head}\r\n\r\n`));
  const [first = "", body = ""] = new TextDecoder().decode(await readToEnd(link)).split("\r\n\r\n");
  link.close();
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(first)?.[1]), body };
}

Deno.test("what asks for no WebSocket of this listener is refused by a status of HTTP, and the log says why", async () => {
  await using proxy = start({}, { origins: ["https://game.example", "http://localhost:8080"] });
  const { address, log } = proxy;
  const refused: [number, RegExp, () => Promise<{ status: number; body: string }>][] = [
    [404, /the path is not \/scp/, () => refusalOf(address, { path: "/" })],
    [404, /the path is not \/scp/, () => refusalOf(address, { path: "/scp/" })],
    [403, /origin "https:\/\/evil\.example"/, () => refusalOf(address, { origin: "https://evil.example" })],
    [403, /origin "null"/, () => refusalOf(address, { origin: "null" })],
    [
      400,
      /Sec-WebSocket-Version/,
      () => rawRefusal(address, `${UPGRADE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 12`),
    ],
    [400, /Sec-WebSocket-Key/, () => rawRefusal(address, `${UPGRADE}Sec-WebSocket-Version: 13`)],
    [426, /no request for a WebSocket/, () => rawRefusal(address, "GET /scp HTTP/1.1\r\nHost: game.example")],
    [400, /no HTTP/, () => rawRefusal(address, "garbage")],
  ];
  for (const [index, [status, text, ask]] of refused.entries()) {
    const answer = await ask();
    assert.equal(answer.status, status);
    assert.match(answer.body, text);
    const { reason } = await log.nth("handshake failed", index + 1);
    assert.match(String(reason), new RegExp(`refused as a WebSocket \\(${status}\\)`));
    assert.match(String(reason), text);
  }
  for (const origin of ["https://game.example", "http://localhost:8080", undefined]) {
    using client = await openSession(address, { path: "/scp?v=1", ...(origin && { origin }) });
    await echoes(client);
  }
  assert.equal((await proxy.gauges()).handshakes, 0);
});

Deno.test("a refusal arrives whole, and once, whatever the client sends beside its request", async () => {
  await using proxy = start();
  const get = "GET / HTTP/1.1\r\nHost: game.example\r\n\r\n";
  const many = "x".repeat(2 ** 24);
  const cases: [number, string][] = [
    [426, get.repeat(3000)],
    [426, get + UPGRADE + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"],
    [426, `POST / HTTP/1.1\r\nHost: game.example\r\nContent-Length: ${2 ** 24}\r\n\r\n${many}`],
    [404, `${UPGRADE.replace("/scp", "/")}\r\n${many}`],
    [400, `GET /scp HTTP/1.1\r\nHost: ${many}\r\n\r\n`],
    [400, `garbage\r\n\r\n${many}`],
  ];
  // No lingering comes to its end: a client that has sent all, and then ends, is through.
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    for (const [index, [status, text]] of cases.entries()) {
      const link = await tcp(proxy.address);
      const sending = writeAll(link, new TextEncoder().encode(text)).then(() => link.closeWrite());
      const answer = new TextDecoder().decode(await readToEnd(link));
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), text.slice(0, 100));
      assert.equal(answer.match(/HTTP\/1.1/g)!.length, 1);
      assert.equal(answer.includes("\r\nUpgrade: websocket\r\n"), status === 426);
      await sending;
      link.close();
      await proxy.log.nth("handshake failed", index + 1);
    }
    assert.equal(proxy.log.events.length, cases.length);
    while ((await proxy.stats()).closes < cases.length) await turn();
  } finally {
    mock.timers.reset();
  }
});

Deno.test("a text message, or one that is too long, ends the connection with a code, and the session lives on", async () => {
  for (
    const [bad, code, reason] of [
      ["text", 1003, /text message/],
      [new Uint8Array(256 * 1024 + 1), 1009, /payload/i],
    ] as const
  ) {
    await using backend = new Backend();
    await using proxy = start({ hosts: [{ addr: backend.address }] });
    const socket = await openWebSocket(proxy.address);
    using client = await openOver(linkOver(socket));
    const far = await backend.accept();
    await client.send(pattern(0, 1000));
    const closed = once(socket, "close");
    socket.send(bad);
    assert.equal((await closed)[0], code);
    assert.match(String((await proxy.log.nth("session lost")).reason), reason);
    (await resumeOver(client, linkOver(await openWebSocket(proxy.address)))).close();
    assertSameBytes(await readExactly(far, 1000), pattern(0, 1000));
    while ((await proxy.stats()).closes < 1) await turn();
  }
});

Deno.test("a message in thousands of fragments ends the connection with a code", async () => {
  await using proxy = start();
  const link = await tcp(proxy.address);
  const upgrade = `${UPGRADE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`;
  // Each has a byte, and a mask of zeros; none is the last.
  const fragments = new Uint8Array(7 * 5000);
  for (let i = 0; i < 5000; i++) fragments.set([i === 0 ? 2 : 0, 0x81, 0, 0, 0, 0, i & 255], 7 * i);
  await writeAll(link, Uint8Array.from([...new TextEncoder().encode(upgrade), ...fragments]));
  const { reason } = await proxy.log.nth("handshake failed");
  assert.match(String(reason), /fragments/);
  const answer = await readToEnd(link);
  assert.deepEqual([...answer.subarray(-2)], [1008 >> 8, 1008 & 255]);
  link.close();
});

Deno.test("a message of the greatest length is taken", async () => {
  await using proxy = start({ scp: { reuse_buffer: "1MiB" } });
  const socket = await openWebSocket(proxy.address);
  const link = linkOver(socket, { longest: 256 * 1024, next: () => 1 - 2 ** -30 });
  using client = await openOver(link);
  await echoes(client, 256 * 1024);
});

Deno.test("a text message for a request is refused too, and a WebSocket that asks nothing is closed in time", async () => {
  await using proxy = start({ scp: { handshake_timeout: "50ms" } });
  const talker = await openWebSocket(proxy.address);
  talker.send("0\n782riWdFIwE=\n\n0");
  assert.equal((await once(talker, "close"))[0], 1003);
  const silent = await openWebSocket(proxy.address);
  await once(silent, "close");
  // Nor is a request for a WebSocket that does not come.
  const nothing = await tcp(proxy.address);
  await writeAll(nothing, new TextEncoder().encode("GET /scp HTTP/1.1\r\n"));
  assert.equal((await readExactly(nothing, 1)).length, 0);
  nothing.close();
  assert.match(String((await proxy.log.nth("handshake failed", 3)).reason), /handshake_timeout/);
});

Deno.test("a connection that breaks in the middle of its request for a WebSocket breaks nothing else", async () => {
  await using proxy = start();
  let count = 0;
  for (const head of ["", "GET /sc", UPGRADE, "GET / HTTP/1.1\r\n\r\n".repeat(3)]) {
    const { hostname, port } = proxy.proxy.addresses[0]!;
    const socket = connect({ host: hostname, port });
    await once(socket, "connect");
    // One that is gone before it is accepted is never seen.
    while ((await proxy.gauges()).handshakes === 0) await turn();
    await new Promise((resolve) => socket.write(head, resolve));
    socket.resetAndDestroy();
    await proxy.log.nth("handshake failed", ++count);
  }
  using client = await openSession(proxy.address);
  await echoes(client);
  assert.equal((await proxy.gauges()).handshakes, 0);
});

Deno.test("the client is who a trusted proxy says, for the log and the limits; who is not trusted says nothing", async () => {
  const headers = { "X-Forwarded-For": "192.0.2.1, 198.51.100.7" };
  for (const trusted of [true, false]) {
    await using proxy = start(
      { deny: ["198.51.100.8"], limits: { sessions_per_ip: 1 } },
      { trusted: trusted ? ["127.0.0.0/8"] : [] },
    );
    using first = await openSession(proxy.address, { headers });
    await echoes(first);
    const { client } = await proxy.log.nth("session new");
    assert.match(String(client), trusted ? /^198\.51\.100\.7:0$/ : /^127\.0\.0\.1:/);
    // Another one behind the same proxy.
    const other = openSession(proxy.address, { headers: { Forwarded: "for=203.0.113.9" } });
    if (trusted) (await other)[Symbol.dispose]();
    else await assert.rejects(other, "a second session of one address");
    const denied = openSession(proxy.address, { headers: { "X-Forwarded-For": "198.51.100.8" } });
    await assert.rejects(denied);
    if (trusted) assert.match(String((await proxy.log.nth("handshake failed")).reason), /denied/);
  }
});

Deno.test("ping_interval: who answers stays, who is silent is lost, and who is held up by the backend is not silent", async () => {
  mock.timers.enable({ apis: ["setInterval"] });
  try {
    await using backend = new Backend();
    await using proxy = start({ hosts: [{ addr: backend.address }] }, { ping_interval: "10s" });
    const connect = async (autoPong: boolean) => {
      const socket = await openWebSocket(proxy.address, { autoPong });
      const [client, far] = await Promise.all([openOver(linkOver(socket)), backend.accept()]);
      return { socket, client, far };
    };
    const lost = () => proxy.log.of("session lost").map(({ id }) => id);
    {
      const { socket, client, far } = await connect(true);
      for (let round = 0; round < 5; round++) {
        const pinged = once(socket, "ping");
        mock.timers.tick(10_000);
        await pinged;
        // What comes after the pong shows that the pong has come.
        await client.send(Uint8Array.of(round));
        await readExactly(far, 1);
      }
      assert.deepEqual(lost(), []);
      client[Symbol.dispose]();
      await proxy.log.nth("session lost");
    }
    {
      const { socket, client } = await connect(false);
      const pinged = once(socket, "ping");
      mock.timers.tick(10_000);
      await pinged;
      mock.timers.tick(10_000);
      assert.match(String((await proxy.log.nth("session lost", 2)).reason), /ping_interval/);
      assert.equal(proxy.log.of("session lost")[1]!.id, client.id);
    }
    const { client, far } = await connect(false);
    let sent = 0;
    const writing = (async () => {
      for (; sent < CACHE; sent += 65536) await client.send(pattern(sent, 65536));
    })();
    await stalled(() => sent);
    for (let round = 0; round < 5; round++) mock.timers.tick(10_000);
    assert.equal(lost().length, 2);
    assertSameBytes(await readExactly(far, CACHE), pattern(0, CACHE));
    await writing;
    client[Symbol.dispose]();
  } finally {
    mock.timers.reset();
  }
});

Deno.test("a listener without origins takes a WebSocket from any page", async () => {
  await using proxy = start();
  using client = await openSession(proxy.address, { origin: "https://any.example" });
  await echoes(client);
});

Deno.test("with a ping_interval of 0 nobody is asked, and nobody is lost for it", async () => {
  mock.timers.enable({ apis: ["setInterval"] });
  try {
    await using proxy = start({}, { ping_interval: 0 });
    const socket = await openWebSocket(proxy.address, { autoPong: false });
    let pings = 0;
    socket.on("ping", () => pings++);
    using client = await openOver(linkOver(socket));
    for (let round = 0; round < 3; round++) {
      mock.timers.tick(3_600_000);
      await echoes(client);
    }
    assert.equal(pings, 0);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("a session that has come to its end closes its WebSocket in order, after all bytes", async () => {
  await using backend = new Backend();
  await using proxy = start({ hosts: [{ addr: backend.address }] });
  const socket = await openWebSocket(proxy.address);
  const closed = once(socket, "close");
  using client = await openOver(linkOver(socket));
  const far = await backend.accept();
  await writeAll(far, pattern(0, 50_000));
  await far.closeWrite();
  assertSameBytes(await client.receiveToEnd(), pattern(0, 50_000));
  assert.equal((await closed)[0], 1000);
});

Deno.test("other proxies are trusted for the next request", async () => {
  const headers = { "X-Forwarded-For": "198.51.100.7" };
  await using proxy = start();
  const listen = [{ ...WS, trusted: ["127.0.0.0/8"] }, { tcp: "127.0.0.1:0" }];
  await proxy.proxy.reconfigure(parseConfig(JSON.stringify({ ...ECHO, listen }), "test.yaml").config);
  using client = await openSession(proxy.address, { headers });
  await echoes(client);
  assert.equal(proxy.log.of("session new")[0]!.client, "198.51.100.7:0");
});

Deno.test("another path and other origins hold for the next request, at the same port", async () => {
  await using proxy = start();
  const { address } = proxy;
  using client = await openSession(address);
  const listen = [{ ws: "127.0.0.1:0", path: "/other", origins: ["https://game.example"] }, { tcp: "127.0.0.1:0" }];
  await proxy.proxy.reconfigure(parseConfig(JSON.stringify({ ...ECHO, listen }), "test.yaml").config);
  assert.equal(proxy.address, address);
  assert.equal((await refusalOf(address)).status, 404);
  assert.equal((await refusalOf(address, { path: "/other", origin: "https://evil.example" })).status, 403);
  using other = await openSession(address, { path: "/other" });
  await echoes(other);
  await echoes(client);
});
