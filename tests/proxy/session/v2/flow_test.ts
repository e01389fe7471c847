import assert from "node:assert/strict";
import { mock } from "node:test";
import { writeAll } from "../../../../lib/link/link.ts";
import { AckedClient, type AckedClientOptions } from "../../../helpers/acked_client.ts";
import { Backend, readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../../helpers/bytes.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { record, tcp } from "../../../helpers/raw_client.ts";
import { stalled } from "../../../helpers/turns.ts";

const LARGE = 8_000_000;
const MIB = 2 ** 20;

/** A client, a proxy and the backend's end of their session. */
async function stage(options: AckedClientOptions = {}, v2: Record<string, unknown> = {}) {
  const backend = new Backend();
  const proxy = TestProxy.start({ hosts: [{ addr: backend.address }], scp: { v2 }, shutdown_timeout: "10ms" });
  const client = await AckedClient.open(options.dialect === "plain" ? proxy.plainAddress : proxy.address, options);
  const far = await backend.accept();
  return {
    ...{ proxy, client, far },
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await proxy[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

Deno.test("no deadlock: a backend that writes all before it reads, and a client that writes all before it reads", async () => {
  await using all = await stage();
  const { client, far } = all;
  let written = 0;
  const writing = (async () => {
    for (; written < LARGE; written += 50_000) await writeAll(far, pattern(written, 50_000, 1));
  })();
  const sending = client.send(pattern(0, LARGE, 2));
  await writing;
  assertSameBytes(await readExactly(far, LARGE), pattern(0, LARGE, 2));
  await sending;
  assertSameBytes(await client.receive(LARGE), pattern(0, LARGE, 1));
});

Deno.test("a backend that reads nothing holds up neither what it sends nor the end", async () => {
  await using all = await stage({}, { window: "64KiB" });
  const { client, far } = all;
  client.send(pattern(0, 8 * MIB, 2)).catch(() => {}); // it never has room again
  await stalled(() => client.session.sent);
  assert(client.session.sent < 8 * MIB, "all was taken, and nobody has read it");
  await writeAll(far, pattern(0, 100_000, 1));
  assertSameBytes(await client.receive(100_000), pattern(0, 100_000, 1));
  await all.proxy.proxy.endSession(client.id);
  assert.equal((await client.ending()).code, 3);
});

for (
  const [name, window, proxyWindow] of [
    ["4,096 at the client and 16 MiB at the proxy", 4096, "16MiB"],
    ["16 MiB at the client and 4,096 at the proxy", 16 * MIB, "4KiB"],
    ["4,096 at both", 4096, "4KiB"],
  ] as const
) {
  Deno.test(`windows of ${name}: all goes on, and nobody waits for the one second of an ACK`, async () => {
    // Nothing is ever said because a second is over.
    mock.timers.enable({ apis: ["setInterval"] });
    using _timers = { [Symbol.dispose]: () => mock.timers.reset() };
    await using all = await stage({ window }, { window: proxyWindow, cache: "64KiB" });
    const { client, far } = all;
    const size = 100_000;
    const sending = client.send(pattern(0, size, 2));
    const writing = writeAll(far, pattern(0, size, 1));
    assertSameBytes(await readExactly(far, size), pattern(0, size, 2));
    assertSameBytes(await client.receive(size), pattern(0, size, 1));
    await Promise.all([sending, writing]);
  });
}

Deno.test("a client that takes nothing holds the backend up, at its window and the proxy's cache, and takes all later", async () => {
  for (const [window, cache, most] of [[16 * MIB, "64KiB", 65_536], [8192, "1MiB", 8192]] as const) {
    await using all = await stage({ window }, { cache });
    const { client, far } = all;
    client.appetite = 0;
    let written = 0;
    const size = MIB;
    const writing = (async () => {
      for (; written < size; written += 65_536) await writeAll(far, pattern(written, 65_536, 1));
    })();
    await client.until(() => client.session.received > most / 2);
    await stalled(() => client.session.received);
    assert(client.session.received <= most, `${client.session.received}`);
    // It has not acknowledged anything, and resumes all the same.
    for (let i = 0; i < 3; i++) await client.resume();
    client.feed(Infinity);
    assertSameBytes(await client.receive(size), pattern(0, size, 1));
    await writing;
  }
});

Deno.test("a FIN that a full window holds back is sent when there is room, also after a resume", async () => {
  await using all = await stage({ window: 4096 });
  const { client, far } = all;
  client.appetite = 0;
  await writeAll(far, pattern(0, 4096, 1));
  await far.closeWrite();
  await client.until(() => client.session.received === 4096);
  await client.resume();
  assert.equal(client.session.snapshot.incoming.isFinished, false);
  client.feed(Infinity);
  assertSameBytes(await client.receiveToEnd(), pattern(0, 4096, 1));
});

Deno.test("10,000 frames of one byte in one write, and so many in one segment as fit", async () => {
  await using all = await stage({ dialect: "plain" });
  const { client, far } = all;
  const sent = pattern(0, 10_000, 2);
  await writeAll(client.link, concat(Array.from(sent, (byte) => Uint8Array.of(1, 0, 1, byte))));
  assertSameBytes(await readExactly(far, 10_000), sent);
});

Deno.test("frames that come byte by byte, of every kind, are understood", async () => {
  await using all = await stage({ dialect: "plain" });
  const { client, far } = all;
  const frames = [1, 0, 3, 97, 98, 99, 2, 0, 0, 0, 0, 3, 0, 0, 0, 7, 4, 1, 2, 3, 4, 200, 0, 2, 1, 1, 1, 0, 1, 100, 5];
  for (const byte of frames) await writeAll(client.link, Uint8Array.of(byte));
  assert.equal(new TextDecoder().decode(await readToEnd(far)), "abcd");
});

Deno.test("bytes that come with the request of a resume are the first of the stream", async () => {
  await using all = await stage({ dialect: "plain" });
  const { client, far } = all;
  await client.send(pattern(0, 10, 2));
  assertSameBytes(await readExactly(far, 10), pattern(0, 10, 2));
  const link = await tcp(client.address);
  const frame = Uint8Array.of(1, 0, 3, 1, 2, 3);
  await writeAll(link, concat([record(client.resumeContent()), frame]));
  assert.deepEqual([...await readExactly(far, 3)], [1, 2, 3]);
  link.close();
});
