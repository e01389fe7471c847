import assert from "node:assert/strict";
import { assertSameBytes } from "../helpers/bytes.ts";
import { type Event, Goscon, runProgram } from "../helpers/goscon.ts";
import { pattern } from "../helpers/random.ts";
import { RawClient } from "../helpers/raw_client.ts";

const KEYS = `listen: [{tcp: "127.0.0.1:0"}]
manager: "127.0.0.1:0"
hosts: [{addr: "builtin:echo"}]
scp: {reuse_time: 10ms}
drain_timeout: 10ms
shutdown_timeout: 10ms
`;

/** A name that makes lines long. */
const LONG = "x".repeat(900);

async function echoes(client: RawClient, n: number): Promise<void> {
  await client.send(pattern(n, 100));
  assertSameBytes(await client.receive(100), pattern(n, 100));
}

async function droppedOf(goscon: Goscon): Promise<number> {
  const { text } = await goscon.manager("GET", "/metrics");
  return Number(/^goscon_log_dropped_total (\d+)$/m.exec(text)![1]);
}

/** Begins sessions, and echoes on old ones, until lines of the log have been dropped. */
async function talkUntilDropped(goscon: Goscon, clients: RawClient[]): Promise<void> {
  for (let round = 0; await droppedOf(goscon) === 0; round++) {
    for (const client of clients) await echoes(client, round);
    await Promise.all(Array.from({ length: 50 }, async (_, n) => {
      using client = await RawClient.open(goscon.addresses[0]!, { target: LONG });
      await echoes(client, n);
    }));
  }
}

const isDropped = (event: Event) => event.message === "log lines dropped";

for (const workers of [1, 3]) {
  Deno.test(`a log that nobody reads stops no session of ${workers} workers; how much was dropped is told`, async () => {
    await using goscon = await Goscon.start(`${KEYS}workers: ${workers}\n`);
    const address = goscon.addresses[0]!;
    const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.open(address)));
    goscon.stopReading();
    await talkUntilDropped(goscon, clients);
    for (const client of clients) await echoes(client, 0);
    const counted = await droppedOf(goscon);
    goscon.goOnReading();
    await goscon.event(isDropped);
    for (const client of clients) client[Symbol.dispose]();
    goscon.kill("SIGTERM");
    assert.equal(await goscon.ended(), 0);
    const told = goscon.events.filter(isDropped).reduce((sum, { dropped }) => sum + Number(dropped), 0);
    assert(told >= counted, `${counted} were dropped, ${told} told`);
    const begun = goscon.events.filter((e) => e.message === "session new").length;
    assert(begun > 100, `only ${begun} lines waited`);
    assert.equal(goscon.events.at(-1)!.message, "stopped");
  });

  Deno.test(`a process of ${workers} workers ends in order though nobody reads its log`, async () => {
    await using goscon = await Goscon.start(`${KEYS}workers: ${workers}\n`);
    goscon.stopReading();
    await talkUntilDropped(goscon, []);
    goscon.kill("SIGTERM");
    assert.equal(await goscon.exited(), 0);
  });
}

Deno.test("what is said right before the end goes out, after the log", async () => {
  await using goscon = await Goscon.start(KEYS);
  const config = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(config, KEYS.replace("127.0.0.1:0", goscon.addresses[0]!));
  const { code, err } = await runProgram(["--config", config]);
  await Deno.remove(config);
  assert.equal(code, 1);
  assert.match(err, /INFO "?goscon starting"?.*\ngoscon: Cannot listen on [^\n]*\n$/s);
});

Deno.test("all faults of a configuration are told before the end, though they are more than a pipe takes", async () => {
  const config = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(config, Array.from({ length: 2000 }, (_, n) => `unknown_${n}: 1\n`).join(""));
  const { code, err } = await runProgram(["--config", config, "--test"]);
  await Deno.remove(config);
  assert.equal(code, 2);
  assert(err.length > 2 ** 16, `only ${err.length} characters`);
  assert.match(err, /:2000:1: unknown_1999: [^\n]*\n/);
});
