import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { Connection } from "../../../lib/client/connection.ts";
import { type FlakyOptions, startFlaky } from "../../../lib/tools/flaky/flaky.ts";
import { flakyOptions } from "../../../lib/tools/flaky/flags.ts";
import { type Link, writeAll } from "../../../lib/link/link.ts";
import { Backend, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { flakyTo, place } from "../../helpers/flaky.ts";
import { testBackPressure, testLinkContract } from "../../helpers/link_contract.ts";
import { ManualClock } from "../../helpers/manual_clock.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";

type Options = Omit<FlakyOptions, "listen" | "connect">;

/** A relay, and a backend behind it whose connections come in the order of the clients'. */
async function setUp(options: Options = {}) {
  const backend = new Backend();
  const flaky = await flakyTo(backend.address, options);
  const links: Link[] = [];
  return {
    ...{ backend, flaky },
    /** Opens a connection: its two ends. */
    open: async () => {
      const near = await tcp(flaky.address);
      const far = await backend.accept();
      links.push(near, far);
      return { near, far };
    },
    async [Symbol.asyncDispose]() {
      await flaky.stop();
      await backend[Symbol.asyncDispose]();
      for (const link of links) link.close();
    },
  };
}

async function openPair() {
  const relay = await setUp();
  return { ...await relay.open(), [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() };
}

testLinkContract("a flaky relay that is told nothing", 200_000, openPair);
testBackPressure("a flaky relay that is told nothing", openPair);

Deno.test("each direction ends by itself", async () => {
  await using relay = await setUp();
  for (const clientFirst of [true, false]) {
    const { near, far } = await relay.open();
    const [first, second] = clientFirst ? [near, far] : [far, near];
    await first.closeWrite();
    assert.equal(await second.read(new Uint8Array(1)), null);
    await writeAll(second, pattern(0, 5000));
    await second.closeWrite();
    assertSameBytes(await readToEnd(first), pattern(0, 5000));
  }
});

/** How many bytes each of so many connections carries until it is cut. */
async function carriedBy(connections: number, options: Options): Promise<number[]> {
  await using relay = await setUp(options);
  const lengths: number[] = [];
  while (lengths.length < connections) {
    const { near, far } = await relay.open();
    await writeAll(near, pattern(0, 20_000));
    const got = await readToEnd(far);
    assertSameBytes(got, pattern(0, got.length));
    assert.equal(await near.read(new Uint8Array(1)), null);
    lengths.push(got.length);
  }
  return lengths;
}

Deno.test("cutAfterBytes cuts each connection between the half and the whole of it", async () => {
  const lengths = await carriedBy(30, { cutAfterBytes: 10_000, seed: 1 });
  assert(Math.min(...lengths) >= 5000 && Math.max(...lengths) <= 10_000, `${lengths}`);
  assert(Math.min(...lengths) < 6000 && Math.max(...lengths) > 9000, `${lengths}`);
});

Deno.test("the same seed gives the same cuts, whatever else is asked for", async () => {
  const options = { cutAfterBytes: 10_000, seed: 7 };
  const lengths = await carriedBy(4, options);
  assert.deepEqual(await carriedBy(4, options), lengths);
  assert.deepEqual(await carriedBy(4, { ...options, cutEvery: 10, clock: new ManualClock() }), lengths);
  assert.notDeepEqual(await carriedBy(4, { ...options, seed: 8 }), lengths);
});

Deno.test("it tells its seed, which gives the same again, and the plan and the cut of each connection", async () => {
  const lines: string[] = [];
  const tell = (line: string) => lines.push(line);
  const [length] = await carriedBy(1, { cutAfterBytes: 10_000, tell });
  assert.deepEqual(lines.slice(1), [
    `connection 1: to be cut after ${length} bytes`,
    `connection 1: cut after ${length} bytes`,
  ]);
  const seed = Number(/^listening on 127\.0\.0\.1:\d+, carrying to .*, seed (\d+)$/.exec(lines[0]!)?.[1]);
  assert.deepEqual(await carriedBy(1, { cutAfterBytes: 10_000, seed }), [length]);
});

Deno.test("cutEvery cuts each connection between the half and the whole of that time", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const clock = new ManualClock();
    await using relay = await setUp({ cutEvery: 1000, seed, clock });
    const { near, far } = await relay.open();
    await clock.pass(499);
    await writeAll(near, pattern(0, 10));
    assertSameBytes(await readExactly(far, 10), pattern(0, 10));
    await clock.pass(501);
    assert.deepEqual([await near.read(new Uint8Array(1)), await far.read(new Uint8Array(1))], [null, null]);
  }
});

Deno.test("a cut by a reset is ECONNRESET to both ends", async () => {
  await using relay = await setUp({ cutAfterBytes: 10, rst: true });
  const { near, far } = await relay.open();
  await writeAll(near, pattern(0, 10));
  await assert.rejects(readToEnd(near), { code: "ECONNRESET" });
  await assert.rejects(readToEnd(far), { code: "ECONNRESET" });
});

Deno.test("a client that resets, or whose backend cannot be reached, has the other end reset", async () => {
  await using relay = await setUp();
  const { port } = place(relay.flaky.address) as { port: number };
  const client = connect(port, "127.0.0.1");
  const far = await relay.backend.accept();
  client.write("hello");
  await readExactly(far, 5);
  client.resetAndDestroy();
  await assert.rejects(far.read(new Uint8Array(1)), { code: "ECONNRESET" });
  if (!client.closed) await once(client, "close");

  const gone = new Backend();
  await using flaky = await flakyTo(gone.address);
  await gone[Symbol.asyncDispose]();
  const near = await tcp(flaky.address);
  await assert.rejects(readToEnd(near), { code: "ECONNRESET" });
  near.close();
});

for (const rst of [false, true]) {
  Deno.test(`a session over connections that are cut${rst ? " by resets" : ""} loses nothing`, async () => {
    await using proxy = TestProxy.start({ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" });
    await using flaky = await flakyTo(proxy.address, { cutAfterBytes: 64 * 1024, rst, latency: 1 });
    let resumed = 0;
    const dial = () => tcp(flaky.address);
    const connection = await Connection.open({ dial, random: () => 0, onResumed: () => resumed++ });
    const total = 400_000;
    const send = async () => {
      for (let at = 0; at < total; at += 4000) await writeAll(connection, pattern(at, 4000));
    };
    const [, got] = await Promise.all([send(), readExactly(connection, total)]);
    assertSameBytes(got, pattern(0, total));
    assert(resumed >= 2 * total / (64 * 1024) - 1, `it was cut only ${resumed} times`);
    connection.close();
  });
}

Deno.test("stop() closes what is open, and may be called again; a port that is taken is an error", async () => {
  await using relay = await setUp({ latency: 1000 });
  const { near, far } = await relay.open();
  await writeAll(near, pattern(0, 10));
  const taken = startFlaky({ listen: place(relay.flaky.address), connect: place("127.0.0.1:1") });
  await assert.rejects(taken, { code: "EADDRINUSE" });
  const ends = [near, far].map((link) => readToEnd(link).catch(() => {}));
  await relay.flaky.stop();
  await relay.flaky.stop();
  await Promise.all(ends);
  await assert.rejects(tcp(relay.flaky.address), /refused/);
});

Deno.test("the flags of the command are read, and what is wrong with one is told", () => {
  const needed = { listen: "127.0.0.1:4444", connect: "[::1]:1248" };
  const options = flakyOptions({ ...needed, "cut-every": "5s", "cut-after-bytes": "64KiB", rst: true, seed: "0" });
  assert.deepEqual(options.connect, { kind: "tcp", hostname: "::1", port: 1248 });
  assert.deepEqual([options.cutEvery, options.cutAfterBytes, options.rst, options.seed], [5000, 65536, true, 0]);
  const others = flakyOptions({ ...needed, "cut-every": "5s", stall: "2s", latency: "50ms", rate: "100KiB" });
  assert.deepEqual([others.stall, others.latency, others.rate, others.seed], [2000, 50, 102_400, undefined]);
  assert.throws(() => flakyOptions({ listen: "127.0.0.1:4444" }), /flaky needs --connect ADDR/);
  assert.throws(() => flakyOptions({ ...needed, connect: "builtin:echo" }), /--connect builtin:echo/);
  for (const [flag, value] of [["rate", "0"], ["stall", "5x"], ["cut-after-bytes", "1s"], ["seed", "4294967296"]]) {
    assert.throws(() => flakyOptions({ ...needed, [flag!]: value }), { message: new RegExp(`^--${flag} ${value}: `) });
  }
});

Deno.test("flakyOptions() refuses flags that say how to cut without one that says when: they would do nothing", () => {
  const needed = { listen: "127.0.0.1:4444", connect: "127.0.0.1:1248", latency: "5ms", rate: "1MiB" };
  for (const flag of [{ stall: "2s" }, { rst: true }, { seed: "1" }]) {
    assert.throws(() => flakyOptions({ ...needed, ...flag }), {
      message: `--${Object.keys(flag)[0]} does nothing without --cut-every TIME or --cut-after-bytes SIZE`,
    });
    for (const cut of [{ "cut-every": "5s" }, { "cut-after-bytes": "64KiB" }]) {
      flakyOptions({ ...needed, ...flag, ...cut });
    }
  }
});
