import assert from "node:assert/strict";
import { type Link, writeAll } from "../../lib/link/link.ts";
import { readExactly, readToEnd } from "./backend.ts";
import { pattern, Random } from "./random.ts";
import { assertSameBytes, concat } from "./bytes.ts";
import { stalled } from "./turns.ts";

/** Two links that are the two ends of one stream of bytes, and what holds them. */
export interface Pair extends AsyncDisposable {
  near: Link;
  far: Link;
}

/**
 * What every link must do, a plain one or one that outlives its connections. Each test gets a pair of its own, and moves
 * about `total` bytes each way.
 */
export function testLinkContract(name: string, total: number, open: () => Promise<Pair>): void {
  const test = (what: string, run: (pair: Pair) => Promise<void>) =>
    Deno.test(`${name} ${what}`, async () => {
      await using pair = await open();
      await run(pair);
    });

  test("carries every byte both ways at once, in any pieces", async ({ near, far }) => {
    const random = new Random();
    await Promise.all([
      send(near, random.fork(), total, 1),
      send(far, random.fork(), total, 2),
      expect(near, random.fork(), total, 2),
      expect(far, random.fork(), total, 1),
    ].map((task) => task.catch((error) => Promise.reject(new Error(`seed ${random.seed}`, { cause: error })))));
  });

  test("carries a conversation", async ({ near, far }) => {
    for (let turn = 0; turn < 50; turn++) {
      const [from, to] = turn % 2 ? [near, far] : [far, near];
      await writeAll(from, pattern(turn, 1 + turn * 7));
      assertSameBytes(await readExactly(to, 1 + turn * 7), pattern(turn, 1 + turn * 7));
    }
  });

  test("gives all that was written, then the end, after closeWrite()", async ({ near, far }) => {
    const sent = pattern(0, total);
    const received = readToEnd(far);
    for (let at = 0; at < total; at += 5000) await writeAll(near, sent.slice(at, at + 5000));
    await near.closeWrite();
    assert.deepEqual(await received, sent);
  });

  test("ends a pending read at close(), which may be called again", async ({ near }) => {
    const pending = near.read(new Uint8Array(10)).catch((error: Error) => error);
    near.close();
    near.close();
    const outcome = await pending;
    assert(outcome === null || outcome instanceof Error, `the read gave ${outcome}`);
  });
}

/** What every link must do that has a network's buffers below: it holds a writer up while nobody reads. */
export function testBackPressure(name: string, open: () => Promise<Pair>): void {
  Deno.test(`${name} makes a writer wait while nobody reads`, async () => {
    await using pair = await open();
    const { near, far } = pair;
    const [chunk, total] = [65536, 400 * 65536];
    let written = 0;
    const writer = (async () => {
      for (; written < total; written += chunk) await writeAll(near, pattern(written, chunk));
    })();
    await stalled(() => written);
    assert(written < total, "25 MiB were taken that nobody read");
    assertSameBytes(await readExactly(far, total), pattern(0, total));
    await writer;
  });
}

async function send(link: Link, random: Random, total: number, stream: number): Promise<void> {
  for (let at = 0; at < total;) {
    const length = Math.min(random.int(1, 3000), total - at);
    await writeAll(link, pattern(at, length, stream));
    at += length;
  }
}

async function expect(link: Link, random: Random, total: number, stream: number): Promise<void> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < total;) {
    const buffer = new Uint8Array(random.int(1, 3000));
    const n = await link.read(buffer);
    assert(n !== null, `the stream ended at ${at} of ${total}`);
    chunks.push(buffer.subarray(0, n));
    at += n;
  }
  assertSameBytes(concat(chunks), pattern(0, total, stream));
}
