import assert from "node:assert/strict";
import { openTo } from "../../helpers/version2_client.ts";
import { AckedServer } from "../../helpers/acked_server.ts";
import { readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { pattern } from "../../helpers/random.ts";
import { settled, stalled, until } from "../../helpers/turns.ts";

/** Windows of the server, caches of the client, and what goes then: a cache has 64 KiB at least. */
const SIZES = [[4096, 2 ** 20, 4096], [2 ** 20, 80_000, 80_000], [2 ** 20, 1, 2 ** 16]] as const;

Deno.test("write() waits for room: what the other end holds, and what the cache does", async () => {
  for (const [window, cacheSize, most] of SIZES) {
    await using server = new AckedServer({ window });
    await using client = await openTo(server, { cacheSize });
    const end = await server.end();
    end.isTaking = false;
    const writing = client.connection.write(pattern(0, 100_000));
    const { session } = end.stream;
    // A cache holds frames: their headers too.
    await until(() => session.received >= most - 100, () => `only ${session.received} bytes`);
    await stalled(() => session.received);
    const held = session.received;
    assert(held <= most, `${held} bytes`);
    assert.deepEqual([client.connection.bytes.sent, await settled(writing)], [held, false]);
    end.takeMore();
    assert.equal(await writing, 100_000);
    await until(() => end.received.length === 100_000, () => "not all arrives");
    assertSameBytes(end.received, pattern(0, 100_000));
  }
});

Deno.test("what was written without a link waits in the cache, and arrives over the next", async () => {
  await using server = new AckedServer({ window: 4096 });
  await using client = await openTo(server);
  client.connection.cut();
  const writing = client.connection.write(pattern(0, 10_000));
  await client.connection.closeWrite();
  assert.equal(await writing, 10_000);
  const end = await server.end();
  await until(() => end.isEnded, () => "it does not arrive");
  assertSameBytes(end.received, pattern(0, 10_000));
});

Deno.test("what nobody reads is bounded by the window, read in any pieces, and kept over a resume", async () => {
  await using server = new AckedServer();
  await using client = await openTo(server, { window: 8192 });
  const end = await server.end();
  assert.equal(end.stream.session.room, 8192);
  end.write(pattern(0, 8192));
  await until(() => client.connection.bytes.received === 8192, () => "it does not come");
  assert.equal(end.stream.session.room, 0);
  client.connection.cut();
  await until(() => client.events.length === 2, () => "it does not resume");
  assert.equal(end.stream.session.room, 0, "what was received, but not read, was acknowledged");
  assertSameBytes(await readExactly(client.connection, 3000), pattern(0, 3000));
  await until(() => end.stream.session.room > 0, () => "what was read is not acknowledged");
  end.write(pattern(8192, end.stream.session.room));
  const rest = end.stream.session.sent - 3000;
  assertSameBytes(await readExactly(client.connection, rest), pattern(3000, rest));
});

Deno.test("a client that only writes, to a server that first only writes, gets all of its through: no deadlock", async () => {
  const TOTAL = 3_000_000;
  await using server = new AckedServer({ echo: true });
  await using client = await openTo(server, { window: 8192, cacheSize: 2 ** 16 });
  const writing = (async () => {
    for (let at = 0; at < TOTAL; at += 50_000) await client.connection.write(pattern(at, 50_000));
    await client.connection.closeWrite();
  })();
  await stalled(() => client.connection.bytes.sent);
  assert(client.connection.bytes.sent < TOTAL, "nothing holds it up");
  for (let at = 0; at < TOTAL; at += 100_000) {
    assertSameBytes(await readExactly(client.connection, 100_000), pattern(at, 100_000));
  }
  await writing;
  assert.equal(await client.connection.read(new Uint8Array(1)), null);
  assert.equal(await client.closed, undefined);
});
