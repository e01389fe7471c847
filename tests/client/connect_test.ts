import assert from "node:assert/strict";
import { connect } from "../../lib/client/connect.ts";
import { Backend, echo } from "../helpers/backend.ts";
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
    const connection = await connect({ addr, dialect, target: "one" });
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

Deno.test("the readable closes, and closed settles, when the backend ends the session", async () => {
  await using backend = new Backend().serve(async (link) => {
    await link.write(pattern(0, 1000));
  });
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const connection = await connect({ addr: proxy.address });
  const chunks = await Array.fromAsync(connection.readable);
  assertSameBytes(concat(chunks), pattern(0, 1000));
  await connection.closed;
});

Deno.test("the readable errors, and closed rejects, when the session is lost for good", async () => {
  const proxy = TestProxy.start(ECHO);
  const connection = await connect({ addr: proxy.address, giveUpAfter: 1, random: () => 0 });
  await proxy[Symbol.asyncDispose]();
  await assert.rejects(read(connection.readable, 1), /gave up/);
  await assert.rejects(connection.closed, /gave up/);
});

Deno.test("closing the writable ends the session; cancelling the readable closes it", async () => {
  await using backend = new Backend().serve(echo);
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const first = await connect({ addr: proxy.address });
  await Promise.all([first.writable.close(), first.readable.pipeTo(new WritableStream())]);
  await first.closed;
  const second = await connect({ addr: proxy.address });
  await second.readable.cancel();
  await second.closed;
  const third = await connect({ addr: proxy.address });
  await third.writable.abort();
  await third.closed;
});

Deno.test("connect() refuses what is no address", async () => {
  await assert.rejects(connect({ addr: "nowhere" }), /expected host:port/);
  await assert.rejects(connect({ addr: "builtin:echo" }), /it is not an address/);
});
