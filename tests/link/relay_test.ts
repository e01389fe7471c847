import { setImmediate } from "node:timers";
import assert from "node:assert/strict";
import { writeAll } from "../../lib/link/link.ts";
import { joinLinks, pump } from "../../lib/link/relay.ts";
import { Backend, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { pattern } from "../helpers/random.ts";
import { pair } from "../helpers/raw_client.ts";

/** More reads than any turn of the event loop should be made of. */
const READS = 10_000;

Deno.test("pump() lets others have their turn although its source always has more than was asked for", async () => {
  let reads = 0;
  let readsAtTurn: number | undefined;
  setImmediate(() => readsAtTurn = reads);
  await pump({
    read: (buffer) => Promise.resolve(reads++ < READS ? buffer.length : null),
  }, () => Promise.resolve());
  assert(readsAtTurn! < 100, `${readsAtTurn ?? READS} reads came before it`);
});

Deno.test("pump() gives every byte in order, in reads of `most` bytes at the most, and rejects with what its source does", async () => {
  const source = Array.from({ length: 1000 }, (_, i) => i & 255);
  const taken: number[] = [];
  let largest = 0;
  const read = (buffer: Uint8Array): Promise<number | null> => {
    largest = Math.max(largest, buffer.length);
    const part = source.splice(0, buffer.length);
    buffer.set(part);
    return part.length > 0 ? Promise.resolve(part.length) : Promise.reject(new Error("reset"));
  };
  const sink = (bytes: Uint8Array) => Promise.resolve(taken.push(...bytes));
  await assert.rejects(pump({ read }, sink, 300), /reset/);
  assert.deepEqual(taken, Array.from({ length: 1000 }, (_, i) => i & 255));
  assert.equal(largest, 300);
});

Deno.test("joinLinks() carries bytes both ways, and the end of each", async () => {
  await using backend = new Backend();
  const [[client, a], [b, peer]] = [await pair(backend), await pair(backend)];
  const joined = joinLinks(a, b);
  await writeAll(client, pattern(0, 100_000));
  await client.closeWrite();
  assertSameBytes(await readToEnd(peer), pattern(0, 100_000));
  await writeAll(peer, pattern(1, 100_000));
  await peer.closeWrite();
  assertSameBytes(await readToEnd(client), pattern(1, 100_000));
  await joined;
  client.close();
});

Deno.test("joinLinks() closes both links when one is closed", async () => {
  await using backend = new Backend();
  const [[client, a], [b, peer]] = [await pair(backend), await pair(backend)];
  const joined = joinLinks(a, b);
  a.close();
  assert.equal((await readToEnd(peer)).length, 0);
  assert.equal((await readToEnd(client)).length, 0);
  await joined;
  client.close();
});
