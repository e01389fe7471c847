import assert from "node:assert/strict";
import { join } from "node:path";
import { Connection } from "../../../lib/client/connection.ts";
import { type FlakyOptions, startFlaky } from "../../../lib/tools/flaky/flaky.ts";
import { flakyOptions } from "../../../lib/tools/flaky/flags.ts";
import { dial } from "../../../lib/link/dial.ts";
import { type Link, writeAll } from "../../../lib/link/link.ts";
import { SocketLink } from "../../../lib/link/tcp.ts";
import { Backend, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { flakyTo, place } from "../../helpers/flaky.ts";
import { testBackPressure, testLinkContract } from "../../helpers/link_contract.ts";
import { FullSocket } from "../../helpers/full_socket.ts";
import { ManualClock } from "../../helpers/manual_clock.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { stalled } from "../../helpers/turns.ts";

type Place = ReturnType<typeof place>;
type Options = Omit<FlakyOptions, "listen" | "connect">;

/** A relay, and a backend behind it whose connections come in the order of the clients'. */
function setUp(options: Options = {}) {
  const backend = new Backend();
  const flaky = flakyTo(backend.address, options);
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
  const relay = setUp();
  return { ...await relay.open(), [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() };
}

testLinkContract("a flaky relay that is told nothing", 200_000, openPair);
testBackPressure("a flaky relay that is told nothing", openPair);

Deno.test("each direction ends by itself", async () => {
  await using relay = setUp();
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

for (const clientFirst of [true, false]) {
  Deno.test(`${clientFirst ? "a client" : "a backend"} that has ended its direction gets all, however late it takes it`, async () => {
    await using relay = setUp();
    const { near, far } = await relay.open();
    const [ended, other] = clientFirst ? [near, far] : [far, near];
    await ended.closeWrite();
    assert.equal(await other.read(new Uint8Array(1)), null);
    const [chunk, total] = [65536, 32 * 2 ** 20];
    let written = 0;
    const writer = (async () => {
      for (; written < total; written += chunk) await writeAll(other, pattern(written, chunk));
      await other.closeWrite();
    })();
    // All buffers are full: the relay's own writes wait as well, after the end that came the other way.
    for (let at = 0; at < total; at += chunk) {
      if (at % 2 ** 22 === 0) await stalled(() => written);
      assertSameBytes(await readExactly(ended, chunk), pattern(at, chunk));
    }
    assert.equal(await ended.read(new Uint8Array(1)), null);
    await writer;
  });
}

Deno.test("it listens on a Unix socket, and carries to one, each direction to its end", async () => {
  const dir = await Deno.makeTempDir();
  using backend = Deno.listen({ transport: "unix", path: join(dir, "backend") });
  const [listen, connect] = ["flaky", "backend"].map((name) => place(`unix:${join(dir, name)}`)) as [Place, Place];
  const flaky = startFlaky({ listen, connect });
  assert.equal(flaky.address, `unix:${join(dir, "flaky")}`);
  assert.throws(() => startFlaky({ listen, connect }), /^Error: Cannot listen on unix:.*flaky: the address is in use$/);
  const near = await dial(listen, { timeout: 60_000 });
  const far = new SocketLink(await backend.accept());
  await writeAll(near, pattern(0, 5000));
  await near.closeWrite();
  assertSameBytes(await readToEnd(far), pattern(0, 5000));
  await writeAll(far, pattern(1, 5000));
  await far.closeWrite();
  assertSameBytes(await readToEnd(near), pattern(1, 5000));
  for (const link of [near, far]) link.close();
  await flaky.stop();
  await assert.rejects(Deno.stat(join(dir, "flaky")), Deno.errors.NotFound);
  await Deno.remove(dir, { recursive: true });
});

/** How many bytes each of so many connections carries until it is cut. */
async function carriedBy(connections: number, options: Options): Promise<number[]> {
  await using relay = setUp(options);
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
    await using relay = setUp({ cutEvery: 1000, seed, clock });
    const { near, far } = await relay.open();
    await writeAll(near, pattern(0, 1));
    assertSameBytes(await readExactly(far, 1), pattern(0, 1)); // it is carried: its time goes on
    await clock.pass(499);
    await writeAll(near, pattern(0, 10));
    assertSameBytes(await readExactly(far, 10), pattern(0, 10));
    await clock.pass(501);
    assert.deepEqual([await near.read(new Uint8Array(1)), await far.read(new Uint8Array(1))], [null, null]);
  }
});

Deno.test("a cut by a reset is ECONNRESET to both ends", async () => {
  await using relay = setUp({ cutAfterBytes: 10, rst: true });
  const { near, far } = await relay.open();
  await writeAll(near, pattern(0, 10));
  await assert.rejects(readToEnd(near), { code: "ECONNRESET" });
  await assert.rejects(readToEnd(far), { code: "ECONNRESET" });
});

Deno.test("where a reset cannot be had, a cut by one closes at once", { permissions: { net: true } }, async () => {
  await using relay = setUp({ cutAfterBytes: 10, rst: true, seed: 1 });
  const { near, far } = await relay.open();
  const sent = writeAll(near, pattern(0, 1)).then(() => readToEnd(far));
  await writeAll(far, pattern(0, 9));
  await Promise.all([sent, readToEnd(near)]);
});

Deno.test("a client that resets, or whose backend cannot be reached, has the other end reset", async () => {
  await using relay = setUp();
  const { near: client, far } = await relay.open();
  await writeAll(client, pattern(0, 5));
  await readExactly(far, 5);
  client.reset();
  await assert.rejects(far.read(new Uint8Array(1)), { code: "ECONNRESET" });

  const gone = new Backend();
  await using flaky = flakyTo(gone.address);
  await gone[Symbol.asyncDispose]();
  const near = await tcp(flaky.address);
  await assert.rejects(readToEnd(near), { code: "ECONNRESET" });
  near.close();
});

for (const rst of [false, true]) {
  Deno.test(`a session over connections that are cut${rst ? " by resets" : ""} loses nothing`, async () => {
    await using proxy = TestProxy.start({ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" });
    await using flaky = flakyTo(proxy.address, { cutAfterBytes: 64 * 1024, rst, latency: 1 });
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
  await using relay = setUp({ latency: 1000 });
  const { near, far } = await relay.open();
  await writeAll(near, pattern(0, 10));
  const taken = () => startFlaky({ listen: place(relay.flaky.address), connect: place("127.0.0.1:1") });
  assert.throws(taken, /^Error: Cannot listen on 127\.0\.0\.1:\d+: the address is in use$/);
  const ends = [near, far].map((link) => readToEnd(link).catch(() => {}));
  await relay.flaky.stop();
  await relay.flaky.stop();
  await Promise.all(ends);
  await assert.rejects(tcp(relay.flaky.address), /refused/);
});

Deno.test("stop() gives up to reach who does not answer", async () => {
  await using full = await FullSocket.open();
  const connected = Promise.withResolvers<void>();
  const tell = (line: string) => line.startsWith("connection 1: not to be cut") && connected.resolve();
  const flaky = flakyTo(`unix:${full.path}`, { tell });
  const near = await tcp(flaky.address);
  await connected.promise;
  await flaky.stop();
  await assert.rejects(readToEnd(near), { code: "ECONNRESET" });
  near.close();
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
