import assert from "node:assert/strict";
import { mock } from "node:test";
import { carrierOf } from "../../lib/link/carrier.ts";
import { type Link, readDecoded, writeAll } from "../../lib/link/link.ts";
import { Networks } from "../../lib/proxy/front/networks.ts";
import { TcpLink } from "../../lib/link/tcp.ts";
import { Upgrade } from "../../lib/proxy/front/upgrade.ts";
import { readExactly, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { pattern } from "../helpers/random.ts";
import { tcp } from "../helpers/raw_client.ts";
import { stalled, turn } from "../helpers/turns.ts";

const INTERVAL = 10_000;
const BINARY = 2;
const TEXT = 1;
const REQUEST = "GET /scp HTTP/1.1\r\nHost: game.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/** A frame of a client, whose mask is of zeros. */
function frame(payload: Uint8Array, opcode = BINARY): Uint8Array<ArrayBuffer> {
  const { length } = payload;
  const size = length < 126 ? [length] : length < 65536 ? [126, length >> 8, length & 255] : [127, 0, 0, 0, 0];
  if (length >= 65536) size.push(...[24, 16, 8, 0].map((shift) => length >> shift & 255));
  size[0]! |= 0x80;
  const bytes = new Uint8Array(1 + size.length + 4 + length);
  bytes.set([0x80 | opcode, ...size]);
  bytes.set(payload, 1 + size.length + 4);
  return bytes;
}

/** The proxy's end of a WebSocket, its socket, and the client's end, which writes and reads frames by itself. */
async function open() {
  let closes = 0;
  const upgrade = new Upgrade();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [client, conn] = await Promise.all([tcp(`127.0.0.1:${listener.addr.port}`), listener.accept()]);
  listener.close();
  const carrier = carrierOf(new TcpLink(conn, { keepAlive: false }));
  const options = { path: "/scp", origins: [], pingInterval: INTERVAL };
  const link = upgrade.take(carrier, options, new Networks([]), () => closes++);
  await writeAll(client, new TextEncoder().encode(REQUEST));
  await link.ready();
  await readDecoded(client, (bytes) => {
    const size = new TextDecoder("latin1").decode(bytes).indexOf("\r\n\r\n") + 4;
    return size > 4 ? { size } : undefined;
  });
  let taken = 0;
  carrier.stream.on("data", (bytes) => taken += bytes.length);
  return {
    link,
    client,
    closes: () => closes,
    /** Bytes that were taken from the network. */
    taken: () => taken,
    [Symbol.asyncDispose]: async () => {
      client.close();
      link.close();
      while (!carrier.stream.closed) await turn();
    },
  };
}

/** Sends the frames again and again, so many times, or until it is held up; gives how often. */
async function flood(client: Link, frames: Uint8Array, times: number): Promise<number> {
  let sent = 0;
  void (async () => {
    for (; sent < times; sent++) await writeAll(client, frames);
  })().catch(() => {}); // the test has ended
  await stalled(() => sent);
  return sent;
}

/** So many frames, one after the other. */
function repeated(one: Uint8Array, count: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(one.length * count);
  for (let i = 0; i < count; i++) all.set(one, i * one.length);
  return all;
}

Deno.test("tiny messages that nobody reads hold the client up after few of them, and none is lost", async () => {
  await using pair = await open();
  const { link, client } = pair;
  const [batch, batches] = [10_000, 400];
  const tiny = Array.from({ length: 256 }, (_, value) => frame(Uint8Array.of(value)));
  const frames = new Uint8Array(7 * batch);
  for (let i = 0; i < batch; i++) frames.set(tiny[i % 256]!, 7 * i);
  const sent = await flood(client, frames, batches);
  // What is there is given by one read.
  const buffer = new Uint8Array(batch * batches);
  const held = await link.read(buffer);
  assert(held !== null && held < 20_000, `${held} messages of a byte each are held`);
  const total = sent * batch - held;
  const rest = await readExactly(link, total);
  const expected = Uint8Array.from({ length: held + total }, (_, i) => i % batch % 256);
  assertSameBytes(buffer.subarray(0, held), expected.subarray(0, held));
  assertSameBytes(rest, expected.subarray(held));
});

Deno.test("what is sent goes in messages of 16 KiB at the most: of one that is not whole when its link breaks nothing arrives", async () => {
  await using opened = await open();
  const { link, client } = opened;
  const sent = pattern(0, 40_000);
  const [received] = await Promise.all([readExactly(client, 3 * 4 + 40_000), writeAll(link, sent)]);
  let at = 0;
  for (const length of [16_384, 16_384, 7232]) {
    assert.deepEqual([...received.subarray(at, at + 4)], [0x82, 126, length >> 8, length & 255]);
    at += 4 + length;
  }
  assertSameBytes(received.subarray(4, 4 + 16_384), pattern(0, 16_384));
});

Deno.test("messages without a byte leave nothing behind", async () => {
  await using pair = await open();
  const { link, client } = pair;
  const before = Deno.memoryUsage().heapUsed;
  // An entry of a list for each would be 64 MB.
  const frames = repeated(frame(new Uint8Array(0)), 10_000);
  assert.equal(await flood(client, frames, 800), 800);
  await writeAll(client, frame(Uint8Array.of(7)));
  assert.deepEqual(await readExactly(link, 1), Uint8Array.of(7));
  const grown = Deno.memoryUsage().heapUsed - before;
  assert(grown < 2 ** 25, `${grown} bytes more`);
});

/** Runs with a clock whose intervals pass when the test says so. */
async function withIntervals(run: () => Promise<void>): Promise<void> {
  mock.timers.enable({ apis: ["setInterval"] });
  try {
    await run();
  } finally {
    mock.timers.reset();
  }
}

Deno.test("a message that takes longer than ping_interval is waited for, as long as bytes of it come", () =>
  withIntervals(async () => {
    await using pair = await open();
    const { link, client, taken } = pair;
    const message = frame(pattern(0, 100_000));
    for (let at = 0; at < message.length; at += 20_000) {
      const before = taken();
      const part = message.subarray(at, at + 20_000);
      await writeAll(client, part);
      while (taken() < before + part.length) await turn();
      mock.timers.tick(INTERVAL);
    }
    assertSameBytes(await readExactly(link, 100_000), pattern(0, 100_000));
    const next = link.read(new Uint8Array(1));
    mock.timers.tick(2 * INTERVAL);
    await assert.rejects(next, /ping_interval/);
  }));

Deno.test("a link that was held up has a whole ping_interval again to be heard of", () =>
  withIntervals(async () => {
    await using pair = await open();
    const { link, client, taken } = pair;
    await flood(client, frame(pattern(0, 60_000)), 100);
    for (let round = 0; round < 3; round++) mock.timers.tick(INTERVAL);
    const held = await link.read(new Uint8Array(10 * 60_000));
    const next = link.read(new Uint8Array(1));
    // It reads again, and the network has not been asked yet.
    const before = taken();
    mock.timers.tick(INTERVAL);
    assert.equal(taken(), before);
    assert.equal(await next, 1);
    assert(held !== null && held > 0);
  }));

Deno.test("a client that takes what it is sent slowly is not lost, and one that takes nothing is", () =>
  withIntervals(async () => {
    await using pair = await open();
    const { link, client } = pair;
    let written = 0;
    const writing = (async () => {
      for (;; written++) await writeAll(link, pattern(written, 65536));
    })();
    writing.catch(() => {});
    for (let round = 0; round < 5; round++) {
      const before = written;
      for (let taken = 0; written === before; taken++) {
        await readExactly(client, 65536);
        await turn();
      }
      await stalled(() => written);
      mock.timers.tick(INTERVAL);
    }
    mock.timers.tick(INTERVAL);
    await assert.rejects(writing);
    await assert.rejects(link.read(new Uint8Array(1)), /ping_interval/);
  }));

Deno.test("who is refused while its messages are held up is heard again, so that it can end in order", async () => {
  await using pair = await open();
  const { link, client } = pair;
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const big = frame(pattern(0, 100_000));
    const text = frame(new TextEncoder().encode("hello"), TEXT);
    // In one piece, or the link would be held up before the text.
    await writeAll(client, Uint8Array.from([...big, ...text]));
    assertSameBytes(await readExactly(link, 100_000), pattern(0, 100_000));
    await assert.rejects(link.read(new Uint8Array(1)), /text message/);
    await writeAll(client, big);
    link.close();
    const [code] = (await readExactly(client, 4)).subarray(2, 3);
    assert.equal(code, 1003 >> 8);
    await writeAll(client, frame(Uint8Array.of(1003 >> 8, 1003 & 255), 8));
    // No time passes: it ends because the client has answered.
    await readToEnd(client);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("close() settles the read and the write that are pending, and tells of itself once", async () => {
  await using pair = await open();
  const { link, closes } = pair;
  const reading = link.read(new Uint8Array(1));
  let written = 0;
  const writing = (async () => {
    for (;; written++) await link.write(pattern(0, 65536));
  })();
  const outcomes = Promise.allSettled([reading, writing]);
  await stalled(() => written);
  assert.equal(closes(), 0);
  link.close();
  link.close();
  assert.deepEqual((await outcomes).map(({ status }) => status), ["rejected", "rejected"]);
  await assert.rejects(link.write(Uint8Array.of(1)));
  await assert.rejects(link.read(new Uint8Array(1)));
  assert.equal(closes(), 1);
});

Deno.test("close() forgets what was not read", async () => {
  await using pair = await open();
  const { link, client } = pair;
  await writeAll(client, frame(pattern(0, 10)));
  assertSameBytes(await readExactly(link, 5), pattern(0, 5));
  link.close();
  await assert.rejects(link.read(new Uint8Array(1)), /closed/);
});

Deno.test("a buffer whose write was given up is not looked at any more, also when the client was refused", async () => {
  await using pair = await open();
  const { link, client } = pair;
  const buffer = new Uint8Array(16 * 1024).fill(1);
  let written = 0;
  const writing = (async () => {
    for (;; written++) await link.write(buffer);
  })().catch((error: Error) => error);
  await stalled(() => written);
  const refused = link.read(new Uint8Array(1));
  await writeAll(client, frame(new TextEncoder().encode("hello"), TEXT));
  await assert.rejects(refused, /text message/);
  link.close();
  assert(await writing instanceof Error);
  buffer.fill(2);
  const got = await readToEnd(client).catch(() => new Uint8Array(0));
  assert.equal(got.indexOf(2), -1);
});
