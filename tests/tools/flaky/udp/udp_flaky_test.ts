import assert from "node:assert/strict";
import { flakyOptions, udpFlakyOptions } from "../../../../lib/tools/flaky/flags.ts";
import { IDLE_TIME, startUdpFlaky, type UdpFlakyOptions } from "../../../../lib/tools/flaky/udp/udp_flaky.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { ManualClock } from "../../../helpers/manual_clock.ts";
import { pattern } from "../../../helpers/random.ts";
import { turn, until } from "../../../helpers/turns.ts";
import { endpoint, UdpSocket } from "../../../helpers/udp.ts";

type Options = Omit<UdpFlakyOptions, "listen" | "connect">;

/** A relay on a random port to a socket, and a client's socket. `lines`: what it told. */
async function setUp(options: Options = {}) {
  const [target, client] = [new UdpSocket(), new UdpSocket()];
  const lines: string[] = [];
  const { address, stop } = await startUdpFlaky({
    ...{ ...options, listen: endpoint("127.0.0.1:0"), connect: endpoint(target.address) },
    tell: (line) => lines.push(line),
  });
  return {
    ...{ target, client, address, stop, lines },
    async [Symbol.asyncDispose]() {
      await stop();
      for (const socket of [target, client]) socket[Symbol.dispose]();
    },
  };
}

const numberOf = (bytes: Uint8Array) => bytes[0]! | bytes[1]! << 8;
const numbered = (number: number) => Uint8Array.of(number, number >> 8);
/** A datagram after which a test sends no more. */
const LAST = 0xffff;

Deno.test("it carries datagrams of any length both ways, unchanged, each client's by itself", async () => {
  await using relay = await setUp();
  using other = new UdpSocket();
  const froms = new Set<string>();
  for (const socket of [relay.client, other, relay.client]) {
    for (const length of [0, 1, 1400, 60_000]) {
      await socket.send(pattern(length, length), relay.address);
      const { bytes, from } = await relay.target.receive();
      assertSameBytes(bytes, pattern(length, length));
      froms.add(from);
      await relay.target.send(pattern(length + 1, length), from);
      const answer = await socket.receive();
      assertSameBytes(answer.bytes, pattern(length + 1, length));
      assert.equal(answer.from, relay.address);
    }
  }
  assert.equal(froms.size, 2);
  assert.deepEqual(relay.lines.slice(1), [`client 1: ${relay.client.address}`, `client 2: ${other.address}`]);
});

/**
 * Sends numbers in one direction: which came, in their order. With `all`, it ends when as many have come; else with the
 * number `LAST`, which is sent until it comes. The first datagram, which makes the client known, must not be lost: by seeds 3 and 5 it is not.
 */
async function carried(count: number, options: Options, { back = false, all = false }): Promise<number[]> {
  await using relay = await setUp(options);
  await relay.client.send(numbered(LAST), relay.address);
  const { from } = await relay.target.receive();
  const [sender, receiver, to] = back
    ? [relay.target, relay.client, from] as const
    : [relay.client, relay.target, relay.address] as const;
  const got: number[] = [];
  let isOver = false;
  const receiving = (async () => {
    while (!isOver) {
      const number = numberOf((await receiver.receive()).bytes);
      if (number !== LAST) got.push(number);
      isOver = all ? got.length === count : number === LAST && got.length > 0;
    }
  })();
  for (let i = 0; i < count; i++) {
    await sender.send(numbered(i), to);
    // The kernel drops what comes while nobody reads.
    await turn();
  }
  while (!isOver) {
    if (!all) await sender.send(numbered(LAST), to);
    await turn();
  }
  await receiving;
  return got;
}

for (const back of [false, true]) {
  Deno.test(`it loses and doubles about those shares ${back ? "of the answers" : "of what clients send"}, by the seed`, async () => {
    const options = { loss: 0.2, duplicate: 0.1, seed: 3 };
    const got = await carried(500, options, { back });
    const different = new Set(got).size;
    assert(different > 350 && different < 450, `${different} came`);
    const doubles = got.length - different;
    assert(doubles > 15 && doubles < 75, `${doubles} came twice`);
    assert.deepEqual(got, got.toSorted((a, b) => a - b));
    assert.deepEqual(await carried(500, options, { back }), got);
    assert.notDeepEqual(await carried(500, { ...options, seed: 5 }, { back }), got);
  });
}

Deno.test("the two directions of a client have fates of their own", async () => {
  const options = { loss: 0.5, seed: 5 };
  const there = await carried(200, options, {});
  const back = await carried(200, options, { back: true });
  // The first datagram there was the one that made the client known.
  const shifted = back.map((number) => number - 1).filter((number) => number >= 0);
  assert.notDeepEqual(there.filter((number) => number < 199), shifted);
});

Deno.test("latency delays each datagram, and each answer again", async () => {
  const clock = new ManualClock();
  await using relay = await setUp({ latency: 50, clock });
  await relay.client.send(numbered(1), relay.address);
  await until(() => clock.pending === 2, () => "nothing is under way");
  let hasCome = false;
  const coming = relay.target.receive().finally(() => hasCome = true);
  await clock.pass(49);
  assert.equal(hasCome, false);
  await clock.pass(1);
  const { from } = await coming;
  await relay.target.send(numbered(2), from);
  await until(() => clock.pending === 2, () => "nothing is under way");
  await clock.pass(50);
  assert.equal(numberOf((await relay.client.receive()).bytes), 2);
});

Deno.test("datagrams that jitter or a hold-back delays overtake each other, and none is lost", async () => {
  for (const options of [{ jitter: 5, seed: 1 }, { reorder: 0.3, seed: 1 }]) {
    const got = await carried(100, options, { all: true });
    const sorted = got.toSorted((a, b) => a - b);
    assert.notDeepEqual(got, sorted);
    assert.deepEqual(sorted, Array.from({ length: 100 }, (_, i) => i));
  }
});

Deno.test("a client of which nothing is heard for minutes is forgotten, and is a new one when it comes back", async () => {
  const clock = new ManualClock();
  await using relay = await setUp({ clock });
  const exchange = async () => {
    await relay.client.send(numbered(1), relay.address);
    const { from } = await relay.target.receive();
    return from;
  };
  const first = await exchange();
  await clock.pass(IDLE_TIME - 1);
  assert.equal(await exchange(), first);
  await clock.pass(IDLE_TIME - 1);
  await relay.target.send(numbered(2), first);
  await relay.client.receive();
  await clock.pass(IDLE_TIME - 1);
  assert.equal(relay.lines.length, 2);
  await clock.pass(1);
  assert.match(
    relay.lines[2]!,
    /^client 1: idle; sent 2 datagrams: 0 lost, 0 had no room, 0 doubled, 0 held back; got 1 datagrams: /,
  );
  await exchange();
  assert.equal(relay.lines[3], `client 2: ${relay.client.address}`);
  await relay.stop();
  assert.equal(clock.pending, 0);
});

Deno.test("what cannot be sent is told once, and the relay goes on", async () => {
  await using relay = await setUp();
  await relay.client.send(numbered(1), relay.address);
  const { from } = await relay.target.receive();
  const unreachable = await startUdpFlaky({
    listen: endpoint("127.0.0.1:0"),
    connect: endpoint("127.0.0.1:0"),
    tell: (line) => relay.lines.push(line),
  });
  const before = relay.lines.length;
  for (let i = 0; i < 3; i++) await relay.client.send(numbered(1), unreachable.address);
  await until(() => relay.lines.length > before + 1, () => "nothing was told");
  await unreachable.stop();
  const told = relay.lines.slice(before);
  assert.equal(told.length, 3, told.join("\n"));
  assert.match(told[1]!, /^client 1: not sent to 127\.0\.0\.1:0: Invalid argument/);
  await relay.target.send(numbered(5), from);
  assert.equal(numberOf((await relay.client.receive()).bytes), 5);
});

Deno.test("stop() drops what is under way, and may be called again; a port that is taken is an error", async () => {
  await using relay = await setUp({ latency: 100_000 });
  await relay.client.send(numbered(1), relay.address);
  await until(() => relay.lines.length === 2, () => "nothing came");
  const taken = { listen: endpoint(relay.address), connect: endpoint("127.0.0.1:1") };
  await assert.rejects(startUdpFlaky(taken), /^Error: Cannot listen on 127\.0\.0\.1:\d+: the address is in use$/);
  await relay.stop();
  await relay.stop();
  assert.match(relay.lines[2]!, /^client 1: stopped; /);
  using again = new UdpSocket(endpoint(relay.address).port);
  assert.equal(again.address, relay.address);
});

Deno.test("a target is found by its name, and a name that has no address is told", async () => {
  await assert.rejects(
    startUdpFlaky({ listen: endpoint("127.0.0.1:0"), connect: { hostname: "no-such-name.invalid", port: 1 } }),
    /no-such-name\.invalid/,
  );
  using target = new UdpSocket();
  using client = new UdpSocket();
  const connect = { hostname: "localhost", port: target.port };
  const flaky = await startUdpFlaky({ listen: endpoint("127.0.0.1:0"), connect });
  await client.send(numbered(9), flaky.address);
  assert.equal(numberOf((await target.receive()).bytes), 9);
  await flaky.stop();
});

const NEEDED = { listen: "127.0.0.1:4444", connect: "[::1]:1248", udp: true };

Deno.test("the flags of a relay of UDP are read, and what is wrong with one is told", () => {
  const flags = {
    loss: "5%",
    duplicate: "0.5%",
    reorder: "100%",
    jitter: "20ms",
    latency: "1s",
    rate: "1MiB",
    seed: "0",
  };
  assert.deepEqual(udpFlakyOptions({ ...NEEDED, ...flags }), {
    ...{ listen: { hostname: "127.0.0.1", port: 4444 }, connect: { hostname: "::1", port: 1248 } },
    ...{ loss: 0.05, duplicate: 0.005, reorder: 1, jitter: 20, latency: 1000, rate: 2 ** 20, seed: 0 },
  });
  for (
    const [flag, value] of [["loss", "5"], ["loss", "0%"], ["duplicate", "101%"], ["reorder", "x%"], ["jitter", "5x"]]
  ) {
    assert.throws(() => udpFlakyOptions({ ...NEEDED, [flag!]: value }), {
      message: new RegExp(`^--${flag} ${value}: expected `),
    });
  }
  assert.throws(
    () => udpFlakyOptions({ ...NEEDED, listen: "unix:/x" }),
    /^Error: --listen unix:\/x: expected host:port/,
  );
  assert.throws(() => udpFlakyOptions({ listen: "127.0.0.1:4444" }), /flaky needs --connect ADDR/);
});

Deno.test("flags that would do nothing, as they are for TCP, or for UDP, or only a seed, are refused", () => {
  for (const flag of [{ rst: true }, { stall: "1s" }, { "cut-every": "1s" }, { "cut-after-bytes": "1" }]) {
    assert.throws(() => udpFlakyOptions({ ...NEEDED, ...flag }), {
      message: `--${Object.keys(flag)[0]} is for TCP: it does nothing with --udp`,
    });
  }
  for (const flag of [{ loss: "1%" }, { duplicate: "1%" }, { reorder: "1%" }, { jitter: "1s" }]) {
    assert.throws(() => flakyOptions({ listen: NEEDED.listen, connect: NEEDED.connect, ...flag }), {
      message: `--${Object.keys(flag)[0]} does nothing without --udp`,
    });
    udpFlakyOptions({ ...NEEDED, ...flag, seed: "1" });
  }
  assert.throws(
    () => udpFlakyOptions({ ...NEEDED, seed: "1", latency: "1s" }),
    /^Error: --seed does nothing without --loss/,
  );
});
