import assert from "node:assert/strict";
import { writeAll } from "../../lib/link/link.ts";
import { AckedClient } from "../helpers/acked_client.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { WORKING } from "../helpers/engine.ts";
import { Goscon } from "../helpers/goscon.ts";
import { kcp } from "../helpers/kcp_client.ts";
import { pattern } from "../helpers/random.ts";
import { openOver, type RawClient, record, resumeOver, tcp } from "../helpers/raw_client.ts";

const IGNORE = { ignore: Deno.build.os !== "linux" };
/** Of as many threads all are met but once in a hundred thousand times. */
const ROUNDS = 12;

for (const io of WORKING) {
  const start = () =>
    Goscon.start(`tcp: 127.0.0.1:0
kcp: 127.0.0.1:0
manager: 127.0.0.1:0
kcp_option: {read_buffer: 1073741824, fec_data_shards: 3, fec_parity_shards: 1}
hosts: [{addr: "builtin:echo"}]
shutdown_timeout: 10ms
workers: 3
io: ${io}
`);

  Deno.test(
    `with io: ${io} sessions of three threads go from KCP to TCP and back, and to other threads`,
    IGNORE,
    async () => {
      await using goscon = await start();
      const [overTcp, overKcp] = goscon.addresses as [string, string];
      const ways = [() => kcp(overKcp), () => tcp(overTcp), () => kcp(overKcp, [3, 1])];
      using first = await openOver(await kcp(overKcp, [3, 1]));
      using second = await AckedClient.open(overKcp, { dial: kcp });
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = pattern(round, 20_000);
        const dial = ways[round % ways.length]!;
        (await resumeOver(first, await dial())).close();
        await first.send(bytes);
        assertSameBytes(await first.receive(20_000), bytes);
        second.dial = dial;
        await second.send(bytes);
        await second.resume();
        assertSameBytes(await second.receive(20_000), bytes);
      }
      const { text } = await goscon.manager("GET", "/metrics");
      // One came over TCP every third time.
      assert.match(text, new RegExp(`^goscon_connection_reuses ${2 * ROUNDS}$`, "m"));
      assert.match(text, /^goscon_kcp_segments_received_total [1-9]\d{2,}$/m);
      const [listening] = goscon.events.filter(({ message, transport }) =>
        message === "listening" && transport === "kcp"
      );
      // As much no system gives: it is said once, where that is known.
      const smaller = goscon.events.filter(({ see }) => see === "net.core.rmem_max");
      assert.deepEqual(smaller.map(({ asked }) => asked), io === "deno" ? [] : [1_073_741_824]);
      assert.deepEqual(listening, { ...listening, address: overKcp, dialect: "goscon", fec: "3+1" });
    },
  );
}

Deno.test(
  "a reload closes a listener of KCP, all of whose conversations go on, and opens it again",
  IGNORE,
  async () => {
    const config = (listen: string) =>
      `listen: [${listen}]\nhosts: [{addr: "builtin:echo"}]\nmanager: 127.0.0.1:0\nshutdown_timeout: 10ms\nworkers: 4\n`;
    await using goscon = await Goscon.start(config('{kcp: "127.0.0.1:0"}'));
    const [address] = goscon.addresses as [string];
    const reload = async (listen: string) => {
      await goscon.rewrite(config(listen));
      const { status, text } = await goscon.manager("POST", "/reload");
      assert.equal(status, 200, text);
    };
    // Threads without one are likely: their sockets must not be missing, or the system gives the others' datagrams to other threads.
    const clients: RawClient[] = [];
    for (let i = 0; i < 5; i++) clients.push(await openOver(await kcp(address)));
    const echo = async (seed: number) => {
      for (const client of clients) {
        await client.send(pattern(seed, 1000));
        assertSameBytes(await client.receive(1000), pattern(seed, 1000));
      }
    };
    await reload(`{tcp: "127.0.0.1:0"}`);
    await echo(1);
    const late = await kcp(address);
    await writeAll(late, record("0\n782riWdFIwE=\n\n0"));
    await goscon.event(({ message, unknown }) => message === "datagrams dropped" && unknown === 1);
    late.close();
    await reload(`{tcp: "127.0.0.1:0"}, {kcp: "${address}", mtu: 500}`);
    await echo(2);
    for (const client of clients) (await resumeOver(client, await kcp(address))).close();
    await echo(3);
    for (const client of clients) client[Symbol.dispose]();
  },
);
