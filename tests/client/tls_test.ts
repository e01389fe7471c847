import assert from "node:assert/strict";
import { connect, type DenoConnectOptions } from "../../lib/client/mod.ts";
import { Line } from "../../lib/tools/demo/line.ts";
import { Backend, readExactly, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes, concat } from "../helpers/bytes.ts";
import { Certificates } from "../helpers/certificates.ts";
import { HAS_OPENSSL } from "../helpers/programs.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { pattern } from "../helpers/random.ts";

const OPENSSL = { ignore: !HAS_OPENSSL };

/** With a certificate of these files. */
function startProxy(files: { cert: string; key: string }, addr = "builtin:echo"): TestProxy {
  return TestProxy.start({
    listen: [{ tcp: "127.0.0.1:0", tls: files }],
    hosts: [{ addr }],
    shutdown_timeout: "10ms",
  });
}

Deno.test(
  "connect() over tls trusts what ca has, for the host or the servername, and nothing else",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const [own, other, game] = [
      await certificates.make("own"),
      await certificates.make("other"),
      await certificates.make("game", "DNS:game.example,IP:192.0.2.1"),
    ];
    await using proxy = startProxy(own.files);
    await using gameProxy = startProxy(game.files);
    const attempt = async ({ address }: TestProxy, options: DenoConnectOptions) => {
      const connection = await connect(`tls://${address}`, options);
      connection.close();
      await connection.closed;
    };
    await attempt(proxy, { ca: own.cert });
    await attempt(proxy, { ca: other.cert + own.cert });
    await attempt(proxy, { ca: own.cert, servername: "localhost" });
    await attempt(gameProxy, { ca: game.cert, servername: "game.example" });
    await attempt(gameProxy, { ca: game.cert, servername: "192.0.2.1" });
    await assert.rejects(attempt(proxy, {}), /127\.0\.0\.1:\d+: its certificate is not trusted \(/);
    await assert.rejects(attempt(proxy, { ca: other.cert }), /its certificate is not trusted \(/);
    await assert.rejects(attempt(gameProxy, { ca: game.cert }), /its certificate is not for 127\.0\.0\.1 \(/);
    await assert.rejects(
      attempt(proxy, { ca: own.cert, servername: "game.example" }),
      /its certificate is not for game\.example \(/,
    );
    await assert.rejects(attempt(proxy, { ca: "mine" }), /Cannot trust what ca has: it is no certificate in PEM/);
  },
);

Deno.test(
  "connect() over tls resumes when TCP ends in the middle of TLS, also while nobody reads",
  OPENSSL,
  async () => {
    using certificates = new Certificates();
    const { files, cert } = await certificates.make("one");
    await using backend = new Backend();
    await using proxy = startProxy(files, backend.address);
    const line = new Line("127.0.0.1", proxy.proxy.addresses[0]!);
    const connection = await connect(`tls://127.0.0.1:${line.address.port}`, { ca: cert, random: () => 0 });
    const far = await backend.accept();
    const writer = connection.writable.getWriter();
    for (let round = 0; round < 3; round++) {
      const resumed = new Promise((resolve) => connection.addEventListener("resumed", resolve, { once: true }));
      await writer.write(pattern(1000 * round, 1000));
      line.cut(0);
      await resumed;
      assertSameBytes(await readExactly(far, 1000), pattern(1000 * round, 1000));
    }
    connection.close();
    await line.close();
  },
);

Deno.test("a session over tls comes to its end in order, by either side", OPENSSL, async () => {
  using certificates = new Certificates();
  const { files, cert } = await certificates.make("one");
  await using backend = new Backend();
  await using proxy = startProxy(files, backend.address);
  const open = async () => {
    const opening = connect(`tls://${proxy.address}`, { ca: cert, giveUpAfter: 1, random: () => 0 });
    const [connection, far] = await Promise.all([opening, backend.accept()]);
    return { connection, far, received: Array.fromAsync(connection.readable) };
  };
  const byBackend = await open();
  await byBackend.far.write(pattern(0, 1000));
  byBackend.far.close();
  assertSameBytes(concat(await byBackend.received), pattern(0, 1000));
  await byBackend.connection.closed;
  const byClient = await open();
  const writer = byClient.connection.writable.getWriter();
  await writer.write(pattern(0, 1000));
  await writer.close();
  assertSameBytes(await readToEnd(byClient.far), pattern(0, 1000));
  byClient.far.close();
  await byClient.connection.closed;
});

Deno.test("connect() over tls says what it is when the server speaks no TLS, and gives up as it is told", {
  // What is given up in the middle of its handshake is closed by Deno only after the other end is.
  sanitizeResources: false,
}, async () => {
  await using plain = TestProxy.start({ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" });
  await assert.rejects(connect(`tls://${plain.address}`), /127\.0\.0\.1:\d+: TLS failed \(/);
  await using silent = new Backend();
  await assert.rejects(
    connect(`tls://${silent.address}`, { handshakeTimeout: 1 }),
    /no answer within 1 ms|the handshake took longer than 1 ms/,
  );
  const reason = new Error("changed my mind");
  const abort = new AbortController();
  // Another one: there the connection that was given up may be open still.
  await using other = new Backend();
  const opening = connect(`tls://${other.address}`, { signal: abort.signal });
  const far = await other.accept();
  await readExactly(far, 1);
  abort.abort(reason);
  await assert.rejects(opening, reason);
});
