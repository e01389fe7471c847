import assert from "node:assert/strict";
import type { EngineName } from "../../lib/config/engines.ts";
import { writeAll } from "../../lib/link/link.ts";
import { AckedClient } from "../helpers/acked_client.ts";
import { descriptorsOf } from "../helpers/accepted.ts";
import { readExactly } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { NATIVE, WORKING } from "../helpers/engine.ts";
import { Goscon } from "../helpers/goscon.ts";
import { pattern } from "../helpers/random.ts";
import { ask, RawClient, record, tcp } from "../helpers/raw_client.ts";

const IGNORE = { ignore: Deno.build.os !== "linux" };

const start = (keys: string) =>
  Goscon.start(
    `listen: [{tcp: "127.0.0.1:0"}]\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]\nshutdown_timeout: 10ms\n${keys}`,
  );

/** Waits until a process has so many descriptors. */
async function untilDescriptors({ pid }: Goscon, fits: (count: number) => boolean): Promise<void> {
  while (!fits(descriptorsOf(pid))) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Connections of clients that are open, as the counters have it. */
async function connectionsOf(goscon: Goscon): Promise<number> {
  const { text } = await goscon.manager("GET", "/metrics");
  const valueOf = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)![1]);
  return valueOf("goscon_connection_accepts") - valueOf("goscon_connection_close");
}

Deno.test(
  "what a session's thread closes is closed, whichever thread has the connection: no descriptor is left",
  IGNORE,
  async () => {
    await using goscon = await start("workers: 3\n");
    const address = goscon.addresses[0]!;
    using client = await RawClient.open(address);
    await client.send(pattern(0, 100));
    assertSameBytes(await client.receive(100), pattern(0, 100));
    const before = descriptorsOf(goscon.pid);
    const silent = [];
    for (let round = 0; round < 40; round++) {
      silent.push(client.link);
      await client.resume();
      const refused = await ask(address, `${client.id}\n1\n0\nAAAAAAAAAAA=`);
      assert.equal(refused.answer, "0\n401");
      silent.push(refused.link);
    }
    // None of them is closed by this end.
    for (const link of silent) assert.equal((await readExactly(link, 1)).length, 0);
    // The last connection may be carried: two more then.
    await untilDescriptors(goscon, (count) => count <= before + 2);
    await client.send(pattern(1, 100));
    assertSameBytes(await client.receive(100), pattern(1, 100));
    for (const link of silent) link.close();
  },
);

/** Resumes again and again with bytes under way both ways, and beside it connections that break off anywhere. */
async function resumeOften(client: RawClient | AckedClient, rounds: number): Promise<void> {
  const size = 20_000;
  for (let round = 0; round < rounds; round++) {
    await client.send(pattern(round, size, client.id));
    assertSameBytes(await client.receive(size / 2), pattern(round, size / 2, client.id));
    if (round % 3 === 0) await breakOff(client, round);
    await client.resume();
    assertSameBytes(await client.receive(size / 2), pattern(round + size / 2, size / 2, client.id));
  }
}

/** A resume whose client is gone before the answer, by an end or a reset, now with its request whole and now not. */
async function breakOff(client: RawClient | AckedClient, round: number): Promise<void> {
  const link = await tcp(client.address);
  const request = record(client.resumeContent());
  await writeAll(link, round % 2 === 0 ? request : request.subarray(0, -3));
  if (round % 4 < 2) link.reset();
  else link.close();
}

function testResumes(io: EngineName, workers: number): void {
  Deno.test(
    `many resumes of both versions in ${workers} threads, io ${io}: every byte comes, and no descriptor is left`,
    IGNORE,
    async () => {
      await using goscon = await start(`io: ${io}\nworkers: ${workers}\nlimits: {handshakes: 200}\n`);
      const address = goscon.addresses[0]!;
      const before = descriptorsOf(goscon.pid);
      const open = (i: number) => i % 2 === 0 ? RawClient.open(address) : AckedClient.open(address);
      const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => open(i)));
      await Promise.all(clients.map((client) => resumeOften(client, 15)));
      // Those of the C library are their owner's, and of each there is but one.
      if (NATIVE.includes(io)) await untilDescriptors(goscon, (count) => count === before + clients.length);
      while (await connectionsOf(goscon) !== clients.length);
      for (const client of clients) {
        assert.equal((await goscon.manager("DELETE", `/sessions/${client.id}`)).status, 200);
        client[Symbol.dispose]();
      }
      await untilDescriptors(goscon, (count) => count <= before);
      assert.equal(await connectionsOf(goscon), 0);
      assert.equal(
        goscon.events.some((e) => e.message === "unhandled" || /Bad file descriptor/.test(JSON.stringify(e))),
        false,
      );
    },
  );
}

for (const io of WORKING) for (const workers of [2, 3]) testResumes(io, workers);

Deno.test("the process ends in order while threads give connections to each other", IGNORE, async () => {
  await using goscon = await start("workers: 3\n");
  const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.open(goscon.addresses[0]!)));
  const enough = Promise.withResolvers<void>();
  let resumes = 0;
  const all = clients.map(async (client) => {
    for (;;) {
      await client.resume();
      if (++resumes === 100) enough.resolve();
    }
  });
  const over = Promise.allSettled(all);
  await enough.promise;
  goscon.kill("SIGINT");
  assert.equal(await goscon.ended(), 0);
  await over;
  for (const client of clients) client[Symbol.dispose]();
});
