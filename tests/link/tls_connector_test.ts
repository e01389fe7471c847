import assert from "node:assert/strict";
import type { Link } from "../../lib/link/link.ts";
import { TcpLink } from "../../lib/link/tcp.ts";
import { TlsConnector } from "../../lib/link/tls_connector.ts";
import type { TlsOptions } from "../../lib/link/trust.ts";
import { Line } from "../../lib/tools/demo/line.ts";
import { Backend, readExactly, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { Certificates } from "../helpers/certificates.ts";
import { type Pair, testBackPressure, testLinkContract } from "../helpers/link_contract.ts";
import { HAS_OPENSSL } from "../helpers/programs.ts";
import { pattern } from "../helpers/random.ts";

const OPENSSL = { ignore: !HAS_OPENSSL };

/** Connects to a port of this machine. */
function connect(port: number, options: TlsOptions & { servername: string }, signal?: AbortSignal) {
  return new TlsConnector(options).connect({ kind: "tcp", hostname: "127.0.0.1", port }, { signal });
}

/** The content of the record that TLS sends first. */
async function readTlsRecord(link: Link): Promise<Uint8Array> {
  const [, , , high, low] = await readExactly(link, 5);
  return await readExactly(link, 256 * high! + low!);
}

/** Near: a link to test. Far: by a server of Deno's. `via`: gives the port to connect to instead of that of the server. */
async function tlsPair(via = (port: number) => port): Promise<Pair> {
  using certificates = new Certificates();
  const { files, cert } = await certificates.make("one");
  const key = Deno.readTextFileSync(files.key);
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const accepted = listener.accept().then(async (conn) => {
    await conn.handshake();
    return new TcpLink(conn, { keepAlive: false });
  });
  const port = via(listener.addr.port);
  const [near, far] = await Promise.all([connect(port, { ca: cert, servername: "localhost" }), accepted]);
  return {
    near,
    far,
    [Symbol.asyncDispose]() {
      near.close();
      far.close();
      return Promise.resolve();
    },
  };
}

if (HAS_OPENSSL) {
  testLinkContract("a link with TLS", 200_000, () => tlsPair());
  testBackPressure("a link with TLS", () => tlsPair());
  testBackPressure("a reader of a link with TLS", async () => {
    const pair = await tlsPair();
    return { ...pair, near: pair.far, far: pair.near };
  });
}

Deno.test("an end of either direction of TLS leaves the other as it is", OPENSSL, async () => {
  for (const flipped of [false, true]) {
    await using pair = await tlsPair();
    const [first, second] = flipped ? [pair.far, pair.near] : [pair.near, pair.far];
    await first.closeWrite();
    assert.equal((await readToEnd(second)).length, 0);
    const got = readToEnd(first);
    for (let at = 0; at < 500_000; at += 5000) await second.write(pattern(at, 5000));
    await second.closeWrite();
    assertSameBytes(await got, pattern(0, 500_000));
  }
});

Deno.test("what came before an end of TLS is read, though the other end has closed meanwhile", OPENSSL, async () => {
  await using pair = await tlsPair();
  const { near, far } = pair;
  await far.write(pattern(0, 10_000));
  await far.closeWrite();
  far.close();
  assertSameBytes(await readToEnd(near), pattern(0, 10_000));
});

Deno.test("an end of TCP in the middle of TLS is an end of the stream, after all that came", OPENSSL, async () => {
  let line: Line | undefined;
  await using pair = await tlsPair((port) => {
    line = new Line("127.0.0.1", { hostname: "127.0.0.1", port });
    return line.address.port;
  });
  const { near, far } = pair;
  await far.write(pattern(0, 1000));
  assertSameBytes(await readExactly(near, 1000), pattern(0, 1000));
  const end = readToEnd(near);
  line!.cut(0);
  assert.equal((await end).length, 0);
  await line!.close();
});

Deno.test("a handshake tells the server the name, but no IP address, and stops when it is given up", async () => {
  for (const servername of ["game.example", "127.0.0.1"]) {
    await using silent = new Backend();
    const abort = new AbortController();
    const connecting = connect(silent.port, { servername }, abort.signal);
    const hello = new TextDecoder("latin1").decode(await readTlsRecord(await silent.accept()));
    assert.equal(hello.includes("game.example"), servername === "game.example");
    assert(!hello.includes("127.0.0.1"));
    abort.abort();
    await assert.rejects(connecting);
  }
});

Deno.test("what cannot be a handshake closes its connection", async () => {
  const nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  for (const options of [{ servername: "a b" }, { servername: "a", ca: nonsense }]) {
    await using backend = new Backend();
    const connecting = assert.rejects(connect(backend.port, options), /^Error: TLS failed \(/);
    const far = await backend.accept();
    await connecting;
    assert.equal((await readToEnd(far)).length, 0);
  }
});
