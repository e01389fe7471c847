import assert from "node:assert/strict";
import { Connection, type ConnectionOptions } from "../../../lib/client/connection.ts";
import { AckedServer } from "../../helpers/acked_server.ts";
import { openTo } from "../../helpers/version2_client.ts";
import { readExactly } from "../../helpers/backend.ts";
import { EchoServer } from "../../helpers/echo_server.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { scripted } from "../../helpers/scripted.ts";

/** As on a page that is neither https nor localhost. */
function withoutWebCrypto(): Disposable {
  const { subtle } = crypto;
  Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
  return { [Symbol.dispose]: () => Object.defineProperty(crypto, "subtle", { value: subtle, configurable: true }) };
}

/** A server that knows version 1 only, and what it was asked. */
function oldServer(): { server: EchoServer; requests: string[] } {
  const requests: string[] = [];
  const server = new EchoServer({
    parse: (content) => {
      requests.push(content);
      return { kind: "new", key: 1n, target: "", flag: 0 };
    },
  });
  return { server, requests };
}

Deno.test("version 2 is asked for by default, and taken where it is had; version: 1 does not ask", async () => {
  await using server = new AckedServer({ echo: true });
  await using client = await openTo(server, { version: "auto", target: "one", flag: 1 });
  assert.equal(client.connection.version, 2);
  assert.equal(client.connection.id, 1000);
  const [zero, , target, flag, offer] = server.requests[0]!.split("\n");
  assert.deepEqual([zero, target, flag], ["0", "one", "3"]);
  assert.match(offer!, /^2 [A-Za-z0-9+/]{87}= 262144$/);
  await using old = new EchoServer();
  const connection = await Connection.open({ dial: () => tcp(old.address), version: 1 });
  assert.equal(connection.version, 1);
  connection.close();
});

Deno.test("a server that knows version 1 only is taken by default, and refused by version: 2", async () => {
  await using old = new EchoServer();
  const options = { dial: () => tcp(old.address) };
  const connection = await Connection.open(options);
  assert.equal(connection.version, 1);
  await connection.write(pattern(0, 1000));
  assertSameBytes(await readExactly(connection, 1000), pattern(0, 1000));
  connection.close();
  await assert.rejects(Connection.open({ ...options, version: 2 }), /the server answered in version 1/);
});

Deno.test("a downgrade on the way is refused by version: 2", async () => {
  const answer = (content: string) => content.split("\n").slice(0, 2).join("\n");
  await using server = new AckedServer({ answer });
  await assert.rejects(openTo(server), /Cannot speak version 2: the server answered in version 1/);
  const connection = await Connection.open({ dial: () => tcp(server.address) });
  assert.equal(connection.version, 1);
  connection.close();
});

Deno.test("without WebCrypto version 2 is not asked for by default, and version: 2 says why it cannot be had", async () => {
  using _ = withoutWebCrypto();
  const { server, requests } = oldServer();
  await using _server = server;
  const dial = () => tcp(server.address);
  await assert.rejects(Connection.open({ dial, version: 2 }), /there is no WebCrypto .*neither https nor localhost/);
  assert.equal(requests.length, 0);
  const connection = await Connection.open({ dial });
  assert.deepEqual([connection.version, requests[0]!.split("\n").length], [1, 4]);
  connection.close();
});

Deno.test("open() rejects when the terms are not as they must be, or the proxy refuses", async () => {
  const wrong: [RegExp, (terms: string) => string][] = [
    [/400/, (terms) => terms.replace(/^2/, "3")],
    [/window/, (terms) => terms.replace(" 65536 ", " 4095 ")],
    [/point of the curve/, (terms) => terms.replace(/^2 \S+/, `2 ${btoa("\x04".padEnd(65, "a"))}`)],
  ];
  for (const [expected, change] of wrong) {
    const answer = (content: string) => content.replace(/[^\n]*$/, change);
    await using server = new AckedServer({ answer });
    await assert.rejects(openTo(server), expected);
    await assert.rejects(openTo(server, { version: "auto" }), { name: "ScpError", code: 400 });
  }
  await using refusing = scripted("0\n400");
  await assert.rejects(Connection.open({ dial: () => tcp(refusing.address) }), { code: 400, message: /refused a new/ });
});

Deno.test("open() rejects with a window that cannot be offered, and with its signal's reason", async () => {
  await using server = new AckedServer();
  for (const window of [4095, 16 * 2 ** 20 + 1, NaN]) {
    await assert.rejects(openTo(server, { window }), /Cannot offer a window of .* expected 4096 to 16777216/);
  }
  const reason = new Error("not wanted");
  const options: Partial<ConnectionOptions> = { signal: AbortSignal.abort(reason) };
  await assert.rejects(openTo(server, options), reason);
});

Deno.test("open() rejects with its signal's reason also when that comes after the answer", async () => {
  await using server = new AckedServer();
  const abort = new AbortController();
  const reason = new Error("not wanted");
  const { subtle } = crypto;
  const deriveBits: SubtleCrypto["deriveBits"] = (...parameters) => {
    abort.abort(reason);
    return SubtleCrypto.prototype.deriveBits.apply(subtle, parameters);
  };
  Object.defineProperty(subtle, "deriveBits", { value: deriveBits, configurable: true });
  try {
    await assert.rejects(openTo(server, { signal: abort.signal }), reason);
  } finally {
    Reflect.deleteProperty(subtle, "deriveBits");
  }
});
