import assert from "node:assert/strict";
import { mock } from "node:test";
import { readPair } from "../../../../lib/admin/config_file.ts";
import { parseConfig } from "../../../../lib/config.ts";
import { formatEndpoint, type Link, writeAll } from "../../../../lib/link/link.ts";
import { TcpLink } from "../../../../lib/link/tcp.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend, readExactly } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { Certificates } from "../../../helpers/certificates.ts";
import { HAS_OPENSSL } from "../../../helpers/programs.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { openOver, RawClient, tcp } from "../../../helpers/raw_client.ts";
import { linkOver, openWebSocket } from "../../../helpers/web_socket.ts";

const WS = { ws: "127.0.0.1:0", path: "/scp" };
const SIZE = 200_000;

/** Carries bytes both ways, and resumes by each way in turn with bytes under way. */
async function carries(client: AckedClient, far: Link, dials: ((address: string) => Promise<Link>)[]): Promise<void> {
  for (const [round, dial] of dials.entries()) {
    const at = round * SIZE;
    const [sending, writing] = [client.send(pattern(at, SIZE, 2)), writeAll(far, pattern(at, SIZE, 1))];
    const got = readExactly(far, SIZE);
    await client.until(() => client.session.received > at + SIZE / 4);
    client.dial = dial;
    await client.resume();
    assertSameBytes(await client.receive(SIZE), pattern(at, SIZE, 1));
    assertSameBytes(await got, pattern(at, SIZE, 2));
    await Promise.all([sending, writing]);
  }
}

Deno.test("a session goes over WebSockets, TLS and TCP in turn, with bytes under way each time, and ends by FIN", {
  ignore: !HAS_OPENSSL,
}, async () => {
  using certificates = new Certificates();
  const { files, cert } = await certificates.make("one");
  await using backend = new Backend();
  const listen = [WS, { ...WS, tls: files }, { tcp: "127.0.0.1:0", tls: files }, { tcp: "127.0.0.1:0" }];
  const keys = { listen, hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" };
  await using proxy = TestProxy.of(parseConfig(JSON.stringify(keys), "test.yaml", readPair).config);
  const [ws, wss, tls, plain] = proxy.proxy.addresses.map(formatEndpoint) as [string, string, string, string];
  const overWs = async () => linkOver(await openWebSocket(ws));
  const overWss = async () => linkOver(await openWebSocket(wss, { ca: cert }));
  const overTls = async () => {
    const [hostname, port] = tls.split(":") as [string, string];
    const conn = await Deno.connectTls({ hostname, port: Number(port), caCerts: [cert] });
    await conn.handshake();
    return new TcpLink(conn, { keepAlive: false });
  };
  using client = await AckedClient.open(ws, { dial: overWs });
  const far = await backend.accept();
  await carries(client, far, [overWss, overTls, () => tcp(plain), overWs]);
  client.stream.finish();
  await client.until(() => client.session.isSentDone);
  await far.closeWrite();
  assert.equal((await client.ending()).code, 0);
  // The answer is of the dialect of its listener, whatever the session's is.
  client.dial = overWss;
  assert.equal(await client.askEnd(), 0);
});

Deno.test("over WebSockets too the end is told by CLOSE, after all bytes", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ listen: [WS], hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const dial = async () => linkOver(await openWebSocket(proxy.address));
  using client = await AckedClient.open(proxy.address, { dial });
  const far = await backend.accept();
  await writeAll(far, pattern(0, 100_000, 1));
  assertSameBytes(await client.receive(100_000), pattern(0, 100_000, 1));
  await proxy.proxy.endSession(client.id);
  assert.equal((await client.ending()).code, 3);
  await assert.rejects(async () => {
    while (await far.read(new Uint8Array(10)) !== null);
    throw new Error("it was an end");
  });
});

Deno.test("the listener's own pings are off for sessions of version 2, new and resumed, and on for version 1", async () => {
  mock.timers.enable({ apis: ["setInterval"] });
  using _timers = { [Symbol.dispose]: () => mock.timers.reset() };
  await using proxy = TestProxy.start({
    listen: [{ ...WS, ping_interval: "10s" }],
    hosts: [{ addr: "builtin:echo" }],
    shutdown_timeout: "10ms",
    scp: { v2: { ping_interval: 0 } },
  });
  let pings = 0;
  const dial = async () => {
    // It answers no ping: a listener that sends them would lose it.
    const socket = await openWebSocket(proxy.address, { autoPong: false });
    socket.on("ping", () => pings++);
    return linkOver(socket);
  };
  const echoes = async (client: AckedClient | RawClient) => {
    const sent = pattern(client.session.sent, 100);
    await client.send(sent.slice());
    assertSameBytes(await client.receive(100), sent);
  };
  using second = await AckedClient.open(proxy.address, { dial });
  for (let round = 0; round < 3; round++) {
    mock.timers.tick(10_000);
    mock.timers.tick(10_000);
    await echoes(second);
    if (round === 1) await second.resume();
  }
  assert.deepEqual([pings, second.losses.filter((reason) => reason !== "replaced")], [0, []]);
  using first = await openOver(await dial());
  mock.timers.tick(10_000);
  await echoes(first);
  assert.equal(pings, 1);
  mock.timers.tick(20_000);
  assert.match(String((await proxy.log.nth("session lost", 2)).reason), /ping_interval/);
});
