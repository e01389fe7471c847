import assert from "node:assert/strict";
import { readPair } from "../../../lib/admin/config_file.ts";
import { ConfigError, parseConfig } from "../../../lib/config.ts";
import { formatEndpoint, type Link, readRecord, writeAll } from "../../../lib/link/link.ts";
import { TcpLink } from "../../../lib/link/tcp.ts";
import { type Proxy, startProxy } from "../../../lib/proxy/proxy.ts";
import { testEngine } from "../../helpers/engine.ts";
import { systemSeams } from "../../../lib/proxy/system_seams.ts";
import { Backend, echo, readExactly, readToEnd } from "../../helpers/backend.ts";
import { BareWebSocket } from "../../helpers/bare_web_socket.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { Certificates, type Pair } from "../../helpers/certificates.ts";
import { HAS_OPENSSL } from "../../helpers/programs.ts";
import { TestLog } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import {
  answerOn,
  openOver,
  RawClient,
  record,
  resumeOver,
  resumeWithBytesUnderWay,
  tcp,
} from "../../helpers/raw_client.ts";
import { stalled, turn } from "../../helpers/turns.ts";

const HELLO = "0\n782riWdFIwE=\n\n0";

const OPENSSL = { ignore: !HAS_OPENSSL };

const configOf = (keys: Record<string, unknown>) =>
  parseConfig(
    JSON.stringify({ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms", ...keys }),
    "test.yaml",
    readPair,
  ).config;

/** A proxy in this process, whose certificates are read from their files. */
class TlsProxy implements AsyncDisposable {
  readonly log = new TestLog();
  readonly proxy: Proxy;
  readonly #engine = testEngine();

  constructor(keys: Record<string, unknown>) {
    this.proxy = startProxy(configOf(keys), systemSeams(this.log, this.#engine));
  }

  /** `host:port` of each listener. */
  get addresses(): string[] {
    return this.proxy.addresses.map(formatEndpoint);
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    await this.#engine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** One listener with TLS, and one without. */
function start({ files }: Pair, keys: Record<string, unknown> = {}) {
  const proxy = new TlsProxy({ listen: [{ tcp: "127.0.0.1:0", tls: files }, { tcp: "localhost:0" }], ...keys });
  return { proxy, secure: proxy.addresses[0]!, plain: proxy.addresses[1]! };
}

/** Opens a connection with TLS, which trusts that certificate alone. */
async function tls(address: string, cert: string): Promise<TcpLink> {
  const [hostname, port] = address.split(":") as [string, string];
  const conn = await Deno.connectTls({ hostname, port: Number(port), caCerts: [cert] });
  await conn.handshake().catch((error) => {
    conn.close();
    throw error;
  });
  return new TcpLink(conn, { keepAlive: false });
}

/** Sends so many bytes and gets them back, `at` bytes into the stream. */
async function echoes(client: RawClient, at: number, count = 100): Promise<void> {
  const [got] = await Promise.all([client.receive(count), client.send(pattern(at, count))]);
  assertSameBytes(got, pattern(at, count));
}

/** Writes to a connection of which it reads nothing, until it is cut: how often. */
async function writesUntilCut(link: Link): Promise<number> {
  for (let count = 0;; count++) {
    try {
      await link.write(new Uint8Array(1));
      await turn();
    } catch {
      return count;
    }
  }
}

async function upstreamSessions({ proxy }: TlsProxy): Promise<number> {
  return (await proxy.snapshot()).upstreams.reduce((sum, { sessions }) => sum + sessions, 0);
}

async function handshakes({ proxy }: TlsProxy): Promise<number> {
  return (await proxy.snapshot()).gauges.handshakes;
}

Deno.test("a listener with tls serves sessions of its dialect over TLS", OPENSSL, async () => {
  using certificates = new Certificates();
  const { files, cert } = await certificates.make("one");
  for (const dialect of ["goscon", "plain"] as const) {
    await using proxy = new TlsProxy({ listen: [{ tcp: "127.0.0.1:0", dialect, tls: files }] });
    using client = await openOver(await tls(proxy.addresses[0]!, cert), { dialect });
    await echoes(client, 0, 1_000_000);
    const { client: address, local } = await proxy.log.nth("session new");
    assert.match(String(address), /^127\.0\.0\.1:\d+$/);
    assert.equal(local, proxy.addresses[0]);
  }
});

Deno.test("a session begun over TCP resumes over TLS, and back, with bytes under way each time", OPENSSL, async () => {
  using certificates = new Certificates();
  const pair = await certificates.make("one");
  await using backend = new Backend();
  const { proxy, secure, plain } = start(pair, {
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: "1MiB" },
  });
  await using _ = proxy;
  using client = await openOver(await tcp(plain));
  const far = await backend.accept();
  const overTls = () => tls(secure, pair.cert);
  const overTcp = () => tcp(plain);
  await resumeWithBytesUnderWay(client, far, [overTls, overTcp, overTls, overTcp]);
  assert.equal(proxy.log.of("session resumed").length, 4);
});

Deno.test(
  "a resume over TLS while the old connection is open and full of bytes loses none and doubles none",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const pair = await certificates.make("one");
    await using backend = new Backend();
    const { proxy, secure } = start(pair, { hosts: [{ addr: backend.address }], scp: { reuse_buffer: "32MiB" } });
    await using _ = proxy;
    using client = await openOver(await tls(secure, pair.cert));
    const far = await backend.accept();
    const total = 16_000_000;
    const wrote = (async () => {
      for (let at = 0; at < total; at += 100_000) await writeAll(far, pattern(at, 100_000));
    })();
    assertSameBytes(await client.receive(50_000), pattern(0, 50_000));
    // Until it is held up by the old connection, on which nobody reads any more.
    let sent = 0;
    const look = setInterval(async () => sent = (await proxy.proxy.session(client.id))!.sent, 1);
    await stalled(() => sent);
    clearInterval(look);
    assert(sent > 50_000 && sent < total, `${sent} bytes were sent to a client that reads none`);
    const former = await resumeOver(client, await tls(secure, pair.cert));
    assertSameBytes(await client.receive(total - 50_000), pattern(50_000, total - 50_000));
    await wrote;
    former.close();
  },
);

Deno.test(
  "a backend that takes nothing holds up a client over TLS, with a WebSocket or without; then it gets every byte",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const { files, cert } = await certificates.make("one");
    await using backend = new Backend();
    await using proxy = new TlsProxy({
      listen: [{ tcp: "127.0.0.1:0", tls: files }, { ws: "127.0.0.1:0", tls: files }],
      hosts: [{ addr: backend.address }],
    });
    const [bare, webSocket] = proxy.addresses as [string, string];
    const total = 30_000_000;
    for (const open of [() => tls(bare, cert), async () => await BareWebSocket.open(await tls(webSocket, cert))]) {
      using client = await openOver(await open());
      const far = await backend.accept();
      let sent = 0;
      const sending = (async () => {
        for (; sent < total; sent += 50_000) await client.send(pattern(sent, 50_000));
      })();
      await stalled(() => sent, 5000);
      assert(sent < total, `${sent} bytes were taken that nobody read`);
      for (let at = 0; at < total; at += 500_000) {
        assertSameBytes(await readExactly(far, 500_000), pattern(at, 500_000));
      }
      await sending;
    }
  },
);

Deno.test(
  "the backend closes: a client over TLS gets every byte, then the end of the stream in order",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const pair = await certificates.make("one");
    const total = 3_000_000;
    await using backend = new Backend().serve((link) => writeAll(link, pattern(0, total)));
    const { proxy, secure } = start(pair, { hosts: [{ addr: backend.address }], scp: { reuse_time: "1h" } });
    await using _ = proxy;
    using client = await openOver(await tls(secure, pair.cert));
    // A slow reader: the end has to wait in line. One that is not in order would be an error here.
    await proxy.log.nth("session new");
    assertSameBytes(await client.receiveToEnd(), pattern(0, total));
  },
);

Deno.test("a client that ends TLS, or whose connection breaks beneath TLS, is lost and resumes", OPENSSL, async () => {
  using certificates = new Certificates();
  const pair = await certificates.make("one");
  const { proxy, secure } = start(pair);
  await using _ = proxy;
  using client = await openOver(await tls(secure, pair.cert));
  await echoes(client, 0);
  await client.link.closeWrite();
  await proxy.log.nth("session lost");
  (await resumeOver(client, await tls(secure, pair.cert))).close();
  await echoes(client, 100);
  // A relay that a test can break: what it passes on is TLS to it.
  const cut = Promise.withResolvers<void>();
  await using relay = new Backend().serve(async (link) => {
    const onward = await tcp(secure);
    const copy = async (from: Link, to: Link) => {
      const buffer = new Uint8Array(4096);
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        await writeAll(to, buffer.slice(0, n));
      }
    };
    const copies = [copy(link, onward), copy(onward, link)].map((copied) => copied.catch(() => {}));
    await cut.promise;
    onward.close();
    link.close();
    await Promise.all(copies);
  });
  (await resumeOver(client, await tls(relay.address, pair.cert))).close();
  await echoes(client, 200);
  const lost = proxy.log.of("session lost").length;
  cut.resolve();
  await proxy.log.nth("session lost", lost + 1);
  (await resumeOver(client, await tls(secure, pair.cert))).close();
  await echoes(client, 300);
});

Deno.test(
  "a refusal reaches a client over TLS, also when the connection is closed right after it",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const pair = await certificates.make("one");
    const { proxy, secure } = start(pair, { limits: { sessions: 1 } });
    await using _ = proxy;
    using client = await openOver(await tls(secure, pair.cert));
    for (
      const [content, answer] of [[HELLO, "0\n501"], ["1\n1\n0\nAAAAAAAAAAA=", "0\n404"], ["junk", "0\n400"]] as const
    ) {
      const link = await tls(secure, pair.cert);
      await writeAll(link, record(content));
      assert.equal(await answerOn(link), answer);
      assert.equal((await readToEnd(link)).length, 0);
      link.close();
    }
    await echoes(client, 0);
  },
);

Deno.test(
  "reconfigure() with another certificate: new connections get it, sessions go on, and resume with it",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const [before, after] = [await certificates.make("before"), await certificates.make("after")];
    await using proxy = new TlsProxy({ listen: [{ tcp: "127.0.0.1:0", tls: before.files }] });
    const [address] = proxy.addresses as [string];
    using client = await openOver(await tls(address, before.cert));
    await echoes(client, 0);
    // In its handshake, which it can still finish.
    const early = await tls(address, before.cert);
    while (await handshakes(proxy) === 0) await turn();
    await assert.rejects(tls(address, after.cert), /certificate/i);
    await proxy.proxy.reconfigure(configOf({ listen: [{ tcp: "127.0.0.1:0", tls: after.files }] }));
    assert.deepEqual(proxy.addresses, [address]);
    // Each of several: a listener that was left behind on the same address would get some of them.
    for (let i = 0; i < 8; i++) {
      (await tls(address, after.cert)).close();
      await assert.rejects(tls(address, before.cert), /certificate/i);
    }
    await echoes(client, 100);
    assert.equal(proxy.log.of("session lost").length, 0);
    using other = await openOver(early);
    await echoes(other, 0);
    (await resumeOver(client, await tls(address, after.cert))).close();
    await echoes(client, 200);
  },
);

Deno.test("reconfigure() with the same files, renewed: what is in them counts", OPENSSL, async () => {
  using certificates = new Certificates();
  const before = await certificates.make("same");
  const keys = { listen: [{ tcp: "127.0.0.1:0", tls: before.files }] };
  await using proxy = new TlsProxy(keys);
  const [address] = proxy.addresses as [string];
  const after = await certificates.make("same");
  assert.deepEqual(after.files, before.files);
  await proxy.proxy.reconfigure(configOf(keys));
  (await tls(address, after.cert)).close();
  await assert.rejects(tls(address, before.cert), /certificate/i);
});

Deno.test("reconfigure() turns TLS on and off at an address, and a session goes on through both", OPENSSL, async () => {
  using certificates = new Certificates();
  const { files, cert } = await certificates.make("one");
  await using proxy = new TlsProxy({ listen: [{ tcp: "127.0.0.1:0" }] });
  const [address] = proxy.addresses as [string];
  using client = await openOver(await tcp(address));
  await echoes(client, 0);
  await proxy.proxy.reconfigure(configOf({ listen: [{ tcp: "127.0.0.1:0", tls: files }] }));
  assert.deepEqual(proxy.addresses, [address]);
  await echoes(client, 100);
  (await resumeOver(client, await tls(address, cert))).close();
  await echoes(client, 200);
  await proxy.proxy.reconfigure(configOf({ listen: [{ tcp: "127.0.0.1:0" }] }));
  assert.deepEqual(proxy.addresses, [address]);
  await echoes(client, 300);
  (await resumeOver(client, await tcp(address))).close();
  await echoes(client, 400);
});

Deno.test(
  "reconfigure() without a listener with tls frees its port at once; its sessions go on, and resume over TCP",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const pair = await certificates.make("one");
    const { proxy, secure, plain } = start(pair);
    await using _ = proxy;
    using client = await openOver(await tls(secure, pair.cert));
    await echoes(client, 0);
    await proxy.proxy.reconfigure(configOf({ listen: [{ tcp: "localhost:0" }] }));
    assert.deepEqual(proxy.addresses, [plain]);
    const [hostname, port] = secure.split(":") as [string, string];
    Deno.listen({ hostname, port: Number(port) }).close();
    await echoes(client, 100);
    (await resumeOver(client, await tcp(plain))).close();
    await echoes(client, 200);
  },
);

Deno.test("a client over TLS that takes nothing is cut off its connection when its session ends", OPENSSL, async () => {
  using certificates = new Certificates();
  const pair = await certificates.make("one");
  await using backend = new Backend();
  const { proxy, secure } = start(pair, { hosts: [{ addr: backend.address }], scp: { reuse_buffer: "32MiB" } });
  await using _ = proxy;
  // Between them: one that passes TLS on, takes nothing more once it has passed some, and looks on when it is told so.
  const look = Promise.withResolvers<void>();
  const cut = Promise.withResolvers<number>();
  await using relay = new Backend().serve(async (link) => {
    const onward = await tcp(secure);
    const up = (async () => {
      const buffer = new Uint8Array(4096);
      for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) {
        await writeAll(onward, buffer.slice(0, n));
      }
    })().catch(() => {});
    const buffer = new Uint8Array(4096);
    for (let passed = 0; passed < 50_000;) {
      const n = (await onward.read(buffer))!;
      await writeAll(link, buffer.slice(0, n));
      passed += n;
    }
    await look.promise;
    cut.resolve(await writesUntilCut(onward));
    link.close();
    onward.close();
    await up;
  });
  using client = await openOver(await tls(relay.address, pair.cert));
  const far = await backend.accept();
  const wrote = writeAll(far, pattern(0, 16_000_000)).catch(() => {});
  await client.receive(1000);
  let sent = 0;
  const poll = setInterval(async () => sent = (await proxy.proxy.session(client.id))?.sent ?? 0, 1);
  while (sent === 0) await turn();
  await stalled(() => sent);
  clearInterval(poll);
  assert(sent > 50_000 && sent < 16_000_000, `${sent} bytes were sent to a client that takes none`);
  await proxy.proxy.endSession(client.id);
  look.resolve();
  await cut.promise;
  await wrote;
  while (await upstreamSessions(proxy) > 0) await turn();
});

Deno.test(
  "reconfigure() that cannot have an address leaves the certificate, and the port, as they were",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const [before, after] = [await certificates.make("before"), await certificates.make("after")];
    await using taken = new Backend();
    await using proxy = new TlsProxy({ listen: [{ tcp: "127.0.0.1:0", tls: before.files }] });
    const [address] = proxy.addresses as [string];
    const listen = [{ tcp: "127.0.0.1:0", tls: after.files }, { tcp: taken.address }];
    await assert.rejects(proxy.proxy.reconfigure(configOf({ listen })), /in use/);
    assert.deepEqual(proxy.addresses, [address]);
    for (let i = 0; i < 8; i++) (await tls(address, before.cert)).close();
  },
);

Deno.test("a pair that cannot be used is a fault of the configuration, with its line and column", OPENSSL, async () => {
  using certificates = new Certificates();
  const { files } = await certificates.make("one");
  const other = await certificates.make("other");
  const junk = certificates.path("junk");
  Deno.writeTextFileSync(junk, "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n");
  const empty = certificates.path("empty");
  Deno.writeTextFileSync(empty, "");
  const missing = certificates.path("missing");
  const directory = certificates.dir;
  const faultsOf = (...pairs: { cert: string; key: string }[]): string[] => {
    const entries = pairs.map(({ cert, key }, i) =>
      `  - tcp: 127.0.0.1:${i + 1}\n    dialect: plain\n    tls:  { cert: ${cert}, key: ${key} }\n`
    );
    const text = `hosts: [{ addr: "builtin:echo" }]\nlisten:\n${entries.join("")}`;
    try {
      parseConfig(text, "test.yaml", readPair);
      return [];
    } catch (error) {
      assert(error instanceof ConfigError, String(error));
      return [...error.faults];
    }
  };
  assert.deepEqual(faultsOf(files), []);
  assert.deepEqual(faultsOf(files, other.files), []);
  const place = /^test\.yaml:5:11: listen\[0\]\.tls: /;
  for (
    const pair of [
      { cert: files.cert, key: other.files.key },
      { cert: junk, key: files.key },
      { cert: files.cert, key: junk },
      { cert: empty, key: files.key },
      { cert: files.cert, key: empty },
      { cert: files.key, key: files.cert },
      { cert: missing, key: files.key },
      { cert: files.cert, key: missing },
      { cert: directory, key: files.key },
    ]
  ) {
    const faults = faultsOf(pair);
    assert.equal(faults.length, 1, JSON.stringify(pair));
    assert.match(faults[0]!, place);
    assert([pair.cert, pair.key].some((file) => faults[0]!.includes(file)), faults.join());
    assert.doesNotMatch(faults[0]!, /\n/);
  }
  assert.match(
    faultsOf({ cert: missing, key: files.key })[0]!,
    /Cannot read the certificate .*missing: there is no such file$/,
  );
  assert.match(
    faultsOf({ cert: files.cert, key: missing })[0]!,
    /Cannot read the key .*missing: there is no such file$/,
  );
  // All of them at once, each at its place.
  const all = faultsOf({ cert: missing, key: missing }, files, { cert: junk, key: files.key });
  assert.equal(all.length, 2);
  assert.match(all[0]!, place);
  assert.match(all[1]!, /^test\.yaml:11:11: listen\[2\]\.tls: /);
});

Deno.test(
  "a client that speaks anything but TLS to a listener with tls is cut, and harms nobody",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const pair = await certificates.make("one");
    const { proxy, secure } = start(pair, { scp: { handshake_timeout: "1h" } });
    await using _ = proxy;
    using client = await openOver(await tls(secure, pair.cert));
    const text = new TextEncoder();
    const strangers = [
      record(HELLO),
      text.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
      text.encode("PROXY TCP4 192.0.2.7 203.0.113.1 1234 443\r\n"),
      new Uint8Array(70_000).fill(0x16),
      new Uint8Array(70_000),
      // The head of a TLS record, with junk for a ClientHello.
      Uint8Array.of(0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0),
    ];
    for (const [i, bytes] of strangers.entries()) {
      const link = await tcp(secure);
      await writeAll(link, bytes).catch(() => {}); // it may be cut before it took all
      // An alert at the most, which is no answer: then the end, or a reset.
      const buffer = new Uint8Array(1024);
      let got = 0;
      for (let n: number | null = 0; n !== null; got += n ?? 0) n = await link.read(buffer).catch(() => null);
      assert(got < 64, `${got} bytes were answered to stranger ${i}`);
      link.close();
      await proxy.log.nth("handshake failed", i + 1);
      await echoes(client, 100 * i);
    }
    while (await handshakes(proxy) > 0) await turn();
    assert.equal(proxy.log.of("handshake failed").length, strangers.length);
    assert.equal(proxy.log.of("session new").length, 1);
    assert.equal(proxy.log.of("accept failed").length, 0);
  },
);

Deno.test(
  "a client that never finishes its TLS handshake is cut by handshake_timeout, and harms nobody",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const pair = await certificates.make("one");
    const { proxy, secure, plain } = start(pair, { scp: { handshake_timeout: "1h" } });
    await using _ = proxy;
    using client = await openOver(await tls(secure, pair.cert));
    using other = await openOver(await tcp(plain));
    const listen = [{ tcp: "127.0.0.1:0", tls: pair.files }, { tcp: "localhost:0" }];
    await proxy.proxy.reconfigure(configOf({ listen, scp: { handshake_timeout: "100ms" } }));
    const silent = await tcp(secure);
    const half = await tcp(secure);
    // A record of 512 bytes is announced, and begun.
    await writeAll(half, Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3));
    await echoes(client, 0);
    await echoes(other, 0);
    for (const nth of [1, 2]) {
      assert.match(
        String((await proxy.log.nth("handshake failed", nth)).reason),
        /handshake_timeout of 100 ms is over/,
      );
    }
    while (await handshakes(proxy) > 0) await turn();
    // The sockets are closed for real, or descriptors could be used up.
    for (const link of [silent, half]) await readToEnd(link);
    await echoes(client, 100);
    await echoes(other, 100);
    assert.equal(proxy.log.of("session lost").length, 0);
    for (const link of [silent, half]) link.close();
  },
);

Deno.test("a client that has TLS and then says nothing is cut by handshake_timeout", OPENSSL, async () => {
  using certificates = new Certificates();
  const pair = await certificates.make("one");
  const { proxy, secure } = start(pair, { scp: { handshake_timeout: "500ms" } });
  await using _ = proxy;
  const link = await tls(secure, pair.cert);
  // It is cut, not ended in order.
  await assert.rejects(readToEnd(link), Deno.errors.UnexpectedEof);
  link.close();
  assert.match(String((await proxy.log.nth("handshake failed")).reason), /handshake_timeout of 500 ms is over/);
});

Deno.test(
  "stop() ends TLS handshakes under way at once, and gives a session over TLS what its backend sent",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const pair = await certificates.make("one");
    await using backend = new Backend();
    const { proxy, secure } = start(pair, { hosts: [{ addr: backend.address }], shutdown_timeout: "1h" });
    const silent = await tcp(secure);
    using client = await openOver(await tls(secure, pair.cert));
    const far = await backend.accept();
    while (await handshakes(proxy) < 1) await turn();
    await writeAll(far, pattern(0, 500_000));
    const stopped = proxy.stop();
    assert.equal((await readToEnd(far)).length, 0);
    await writeAll(far, pattern(500_000, 1000));
    far.close();
    assertSameBytes(await client.receiveToEnd(), pattern(0, 501_000));
    client.link.close();
    await stopped;
    assert.equal((await readToEnd(silent)).length, 0);
    silent.close();
    assert.equal(await upstreamSessions(proxy), 0);
  },
);

for (const version of ["-tls1_2", "-tls1_3"]) {
  Deno.test(`openssl s_client ${version} has a session over TLS`, OPENSSL, async () => {
    using certificates = new Certificates();
    const { files } = await certificates.make("one");
    await using backend = new Backend().serve(echo);
    await using proxy = new TlsProxy({
      listen: [{ tcp: "127.0.0.1:0", dialect: "plain", tls: files }],
      hosts: [{ addr: backend.address }],
    });
    const verify = ["-CAfile", files.cert, "-verify_return_error", "-verify_ip", "127.0.0.1"];
    const args = ["s_client", "-quiet", version, "-connect", proxy.addresses[0]!, ...verify];
    await using child = new Deno.Command("openssl", { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
    const writer = child.stdin.getWriter();
    const output = child.stdout[Symbol.asyncIterator]();
    let held: Uint8Array = new Uint8Array(0);
    const link: Pick<Link, "read"> = {
      read: async (buffer) => {
        if (held.length === 0) held = (await output.next()).value ?? held;
        const part = held.subarray(0, buffer.length);
        buffer.set(part);
        held = held.subarray(part.length);
        return part.length || null;
      },
    };
    await writer.write(record(HELLO));
    const { content, rest } = (await readRecord(link as Link))!;
    assert.match(content, /^\d+\n[A-Za-z0-9+/=]{12}$/);
    held = Uint8Array.from([...rest, ...held]);
    const [got] = await Promise.all([readExactly(link, 200_000), writer.write(pattern(0, 200_000))]);
    assertSameBytes(got, pattern(0, 200_000));
    await writer.close();
    child.kill("SIGKILL"); // its standard input alone does not end it
    await output.return?.();
    await proxy.log.nth("session lost");
  });
}
