import assert from "node:assert/strict";
import { connect as connectInBrowser } from "../../lib/client/browser.ts";
import { connect, type ResumableConnection } from "../../lib/client/mod.ts";
import { Line } from "../../lib/tools/demo/line.ts";
import { Backend, echo, readExactly, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes, concat } from "../helpers/bytes.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { pattern } from "../helpers/random.ts";

const ECHO = { hosts: [{ name: "one", addr: "builtin:echo" }], shutdown_timeout: "10ms" };

async function read(readable: ReadableStream<Uint8Array>, count: number): Promise<Uint8Array> {
  const reader = readable.getReader();
  const chunks: Uint8Array[] = [];
  for (let left = count; left > 0; left -= chunks.at(-1)!.length) {
    const { value, done } = await reader.read();
    assert(!done, "the stream ended");
    chunks.push(value);
  }
  reader.releaseLock();
  return concat(chunks);
}

Deno.test("connect() gives a duplex stream that does not notice cuts, and events that tell of them", async () => {
  await using proxy = TestProxy.start(ECHO);
  for (const [addr, dialect] of [[proxy.address, "goscon"], [proxy.plainAddress, "plain"]] as const) {
    const connection = await connect(`tcp://${addr}`, { dialect, target: "one" });
    const events: string[] = [];
    connection.on("lost", ({ detail }) => events.push(`lost: ${detail.reason}`));
    const resumed = new Promise<void>((resolve) => connection.on("resumed", () => resolve()));
    const writer = connection.writable.getWriter();
    const sent = pattern(0, 300_000);
    const kept = sent.slice();
    const got = read(connection.readable, sent.length);
    await writer.write(sent.subarray(0, 200_000));
    await connection.cut();
    await writer.write(sent.subarray(200_000));
    assertSameBytes(await got, pattern(0, 300_000));
    assertSameBytes(sent, kept, "the caller's bytes were changed");
    await resumed;
    assert.deepEqual(events, ["lost: cut"]);
    assert(connection.id > 0);
    connection.close();
    await connection.closed;
  }
});

Deno.test("a link that is lost while nobody reads is resumed, and what was written on it arrives", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const line = new Line("127.0.0.1", proxy.proxy.addresses[0]!);
  const connection = await connect(`tcp://127.0.0.1:${line.address.port}`, { random: () => 0 });
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
});

Deno.test("the readable closes, and closed settles, when the backend ends the session", async () => {
  await using backend = new Backend().serve(async (link) => {
    await link.write(pattern(0, 1000));
  });
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const connection = await connect(`tcp://${proxy.address}`);
  const chunks = await Array.fromAsync(connection.readable);
  assertSameBytes(concat(chunks), pattern(0, 1000));
  await connection.closed;
});

Deno.test("the readable errors, and closed rejects, when the session is lost for good", async () => {
  for (const [version, expected] of [[1, /gave up/], [2, { name: "SessionEndedError", code: 1 }]] as const) {
    const proxy = TestProxy.start(ECHO);
    const connection = await connect(`tcp://${proxy.address}`, { version, giveUpAfter: 1, random: () => 0 });
    const details: object[] = [];
    connection.on("closed", ({ detail }) => details.push(detail));
    await proxy[Symbol.asyncDispose]();
    await assert.rejects(read(connection.readable, 1), expected);
    await assert.rejects(connection.closed, expected);
    assert.deepEqual(details.map((detail) => "code" in detail && detail.code), [version === 2 && 1]);
  }
});

Deno.test("closing the writable ends the session; cancelling the readable closes it", async () => {
  await using backend = new Backend().serve(echo);
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const first = await connect(`tcp://${proxy.address}`);
  await Promise.all([first.writable.close(), first.readable.pipeTo(new WritableStream())]);
  await first.closed;
  const second = await connect(`tcp://${proxy.address}`);
  await second.readable.cancel();
  await second.closed;
  const third = await connect(`tcp://${proxy.address}`);
  await third.writable.abort();
  await third.closed;
});

Deno.test("connect() tells once of the end, with the reason when there is one", async () => {
  await using proxy = TestProxy.start(ECHO);
  const url = `tcp://${proxy.address}`;
  const ended = async (end: (connection: ResumableConnection, abort: AbortController) => void) => {
    const abort = new AbortController();
    const connection = await connect(url, { signal: abort.signal });
    const details: object[] = [];
    connection.addEventListener("closed", ({ detail }) => details.push(detail));
    const reading = connection.readable.getReader().read().catch((error) => error);
    end(connection, abort);
    const closed = await connection.closed.catch((error) => error);
    const writing = await connection.writable.getWriter().write(new Uint8Array(1)).catch((error) => error);
    abort.abort();
    return { details, closed, reading: await reading, writing };
  };
  const inOrder = await ended((connection) => connection.close());
  assert.deepEqual(inOrder.details, [{}]);
  assert.deepEqual([inOrder.closed, inOrder.reading], [undefined, { value: undefined, done: true }]);
  assert.match(inOrder.writing.message, /the session has ended/);
  const reason = new Error("enough");
  const aborted = await ended((_, abort) => abort.abort(reason));
  assert.deepEqual(aborted.details, [{ reason: "enough" }]);
  assert.deepEqual([aborted.closed, aborted.reading, aborted.writing], [reason, reason, reason]);
});

Deno.test("connect() rejects with the signal's reason when that is aborted before the session is open", async () => {
  await using silent = new Backend();
  const url = `tcp://${silent.address}`;
  const reason = new Error("changed my mind");
  await assert.rejects(connect(url, { signal: AbortSignal.abort(reason) }), reason);
  const abort = new AbortController();
  const opening = connect(url, { signal: abort.signal });
  await silent.accept();
  abort.abort(reason);
  await assert.rejects(opening, reason);
});

Deno.test("connect() takes a Unix socket", async () => {
  const path = `${await Deno.makeTempDir()}/a b?.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const opening = connect(`unix:${encodeURI(path).replace("?", "%3F")}`).catch((error) => error);
  const far = await listener.accept();
  await far.read(new Uint8Array(1000));
  far.close();
  assert.match((await opening).message, /closed in the handshake/);
  listener.close();
});

Deno.test("connect() refuses what is no URL of a kind it knows", async () => {
  for (
    const url of ["tcp://nowhere", "tcp://:1248", "tcp://a:1/path", "tcp://u@a:1", "tcp://a:1?x", "127.0.0.1:1248"]
  ) {
    await assert.rejects(connect(url), /expected tcp:|Invalid URL/, url);
  }
  await assert.rejects(connect("tls://a:1/path"), /expected tls:\/\/host:port/);
  await assert.rejects(
    connect("http://a:1"),
    /Cannot connect to http:\/\/a:1: its scheme is none of tcp: tls: unix: ws: wss:/,
  );
  await assert.rejects(connectInBrowser("tcp://a:1"), /Cannot connect to tcp:\/\/a:1: its scheme is none of ws: wss:/);
});

Deno.test("in version 2 closing the writable ends one direction, and the readable goes on", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const connection = await connect(`tcp://${proxy.address}`, { version: 2 });
  assert.equal(connection.version, 2);
  const far = await backend.accept();
  const writer = connection.writable.getWriter();
  await writer.write(pattern(0, 1000));
  await writer.close();
  assertSameBytes(await readToEnd(far), pattern(0, 1000));
  await far.write(pattern(0, 1000));
  far.close();
  assertSameBytes(concat(await Array.fromAsync(connection.readable)), pattern(0, 1000));
  await connection.closed;
});

Deno.test("in version 2 close() resets a backend that may lack something, and abort() of the writable always does", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  for (const how of ["done", "abort"]) {
    const connection = await connect(`tcp://${proxy.address}`, { version: 2 });
    const far = await backend.accept();
    const writer = connection.writable.getWriter();
    await writer.write(pattern(0, 10));
    await far.read(new Uint8Array(10));
    await far.write(pattern(0, 10));
    // With that comes an ACK.
    await read(connection.readable, 10);
    if (how === "done") connection.close();
    else await writer.abort();
    const end = far.read(new Uint8Array(1));
    if (how === "done") assert.equal(await end, null);
    else await assert.rejects(end, /reset/);
    far.close();
    await connection.closed;
  }
});
