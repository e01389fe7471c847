import assert from "node:assert/strict";
import { Connection } from "../../lib/client/connection.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import { Backend, readExactly } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { Goscon, OLD_RUNTIME, runProgram } from "../helpers/goscon.ts";
import { pattern } from "../helpers/random.ts";
import { tcp } from "../helpers/raw_client.ts";
import { stalled } from "../helpers/turns.ts";
import { linkOver, openWebSocket } from "../helpers/web_socket.ts";

const IGNORE = { ignore: OLD_RUNTIME }; // whose node:http cannot be given its connections
const MIB = 2 ** 20;

const configOf = (backend: Backend, ws: string, keys = "") =>
  `listen: [${ws}, {tcp: "127.0.0.1:0"}]\nhosts: [{addr: "${backend.address}"}]${keys}`;

Deno.test("the process says how to try a listener of WebSockets, and that works", IGNORE, async () => {
  await using goscon = await Goscon.start(
    `listen: [{ws: "127.0.0.1:0", path: /a/b, dialect: plain}]\nhosts: [{addr: "builtin:echo"}]`,
  );
  const { message } = await goscon.event((e) => e.message.startsWith("ready"));
  const [, hint = ""] = /^ready; try: .*? (connect ws:\/\/127\.0\.0\.1:\d+\/a\/b --dialect plain)$/.exec(message) ?? [];
  const { code, out } = await runProgram([...hint.split(" "), "--linger", "1s"], { input: "hello" });
  assert.deepEqual([code, out], [0, "hello"]);
});

/** Bytes of memory that a process has. */
async function memoryOf(pid: number): Promise<number> {
  const [, resident] = (await Deno.readTextFile(`/proc/${pid}/statm`)).split(" ");
  return Number(resident) * 4096;
}

for (const version of [1, 2] as const) {
  Deno.test(
    `a session of version ${version} goes from TCP to WebSocket and back, whichever thread gets the connection`,
    IGNORE,
    async () => {
      await using backend = new Backend();
      await using goscon = await Goscon.start(configOf(backend, `{ws: "127.0.0.1:0"}`, `\nscp: {reuse_buffer: 1MiB}`));
      const [ws, bare] = goscon.addresses as [string, string];
      let dialled = 0;
      const dial = async () => dialled++ % 2 === 0 ? linkOver(await openWebSocket(ws)) : await tcp(bare);
      const closed = Promise.withResolvers<unknown>();
      const opened = Connection.open({ dial, version, random: () => 0, onClosed: closed.resolve });
      const [connection, far] = await Promise.all([opened, backend.accept()]);
      for (let round = 0; round < 12; round++) {
        const at = 10_000 * round;
        await Promise.all([writeAll(connection, pattern(at, 10_000, 1)), writeAll(far, pattern(at, 10_000, 2))]);
        await connection.cut();
        const [up, down] = await Promise.all([readExactly(far, 10_000), readExactly(connection, 10_000)]);
        assertSameBytes(up, pattern(at, 10_000, 1));
        assertSameBytes(down, pattern(at, 10_000, 2));
      }
      assert.equal(dialled, 13);
      connection.close();
      await closed.promise;
    },
  );
}

Deno.test(
  "without a descriptor left for another WebSocket the process waits, and goes on when there is one",
  IGNORE,
  async () => {
    await using goscon = await Goscon.start(`listen: [{ws: "127.0.0.1:0"}]\nhosts: [{addr: "builtin:echo"}]`, {
      descriptors: 80,
    });
    const address = goscon.addresses[0]!;
    const silent = await Promise.all(Array.from({ length: 80 }, () => tcp(address)));
    await goscon.event((e) => e.message === "accept failed");
    for (const link of silent) link.close();
    const closed = Promise.withResolvers<unknown>();
    const dial = async () => linkOver(await openWebSocket(address));
    const connection = await Connection.open({ dial, onClosed: closed.resolve });
    await writeAll(connection, pattern(0, 10));
    assertSameBytes(await readExactly(connection, 10), pattern(0, 10));
    connection.close();
    await closed.promise;
  },
);

for (const [version, mib] of [[1, 1024], [2, 256]] as const) {
  Deno.test(
    `a client of version ${version} that sends ${mib} MiB to a backend that takes nothing is held up, and memory stays flat`,
    {
      ignore: OLD_RUNTIME || Deno.build.os !== "linux",
    },
    async () => {
      await using backend = new Backend();
      await using goscon = await Goscon.start(configOf(backend, `{ws: "127.0.0.1:0", dialect: plain}`));
      const chunk = pattern(0, 64 * 1024);
      const total = mib * MIB;
      const socket = await openWebSocket(goscon.addresses[0]!, { perMessageDeflate: false });
      const link = linkOver(socket, { next: () => 1 - 2 ** -30 });
      const closed = Promise.withResolvers<unknown>();
      const dial = () => Promise.resolve(link);
      const opened = Connection.open({ dial, version, dialect: "plain", onClosed: closed.resolve });
      const [connection, far] = await Promise.all([opened, backend.accept()]);
      const before = await memoryOf(goscon.pid);
      let sent = 0;
      const writing = (async () => {
        for (; sent < total; sent += chunk.length) await writeAll(connection, chunk.slice());
      })();
      await stalled(() => sent);
      const [held, heldIn] = [sent, await memoryOf(goscon.pid) - before];
      const most = await takeAll(far, chunk, total, () => memoryOf(goscon.pid)) - before;
      await writing;
      console.log(
        `held up after ${held / MIB} MiB with ${heldIn / MIB} MiB more memory; at the most ${most / MIB} MiB more`,
      );
      assert(held < 64 * MIB, `${held} bytes were taken that nobody read`);
      assert(heldIn < 64 * MIB && most < 256 * MIB, `memory grew by ${heldIn} bytes, then ${most}`);
      connection.close();
      await closed.promise;
    },
  );
}

/** Reads the chunk again and again, so many bytes in all; gives the most that `measure` gave meanwhile. */
async function takeAll(link: Link, chunk: Uint8Array, total: number, measure: () => Promise<number>): Promise<number> {
  let most = 0;
  for (let at = 0; at < total; at += chunk.length) {
    assertSameBytes(await readExactly(link, chunk.length), chunk);
    if (at % (16 * MIB) === 0) most = Math.max(most, await measure());
  }
  return most;
}
