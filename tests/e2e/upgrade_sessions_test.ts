import assert from "node:assert/strict";
import { join } from "node:path";
import { type Link, readRecord, writeAll } from "../../lib/link/link.ts";
import { request } from "../../lib/scp/mod.ts";
import { Backend, readExactly } from "../helpers/backend.ts";
import { AckedClient } from "../helpers/acked_client.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { runChaos } from "../helpers/chaos.ts";
import { EXECUTABLE, Goscon } from "../helpers/goscon.ts";
import { pattern, Random } from "../helpers/random.ts";
import { ask, RawClient, tcp } from "../helpers/raw_client.ts";
import { stubUntil } from "../helpers/stub_successor.ts";

const LINUX = { ignore: Deno.build.os !== "linux" || Deno.env.get("GOSCON_IO") === "deno" };
const SESSIONS = 24;
/** Threads of one process after another. */
const WORKERS = [2, 3, 1, 4, 2];

function configOf(backend: Backend, workers: number): string {
  return `listen: [{tcp: "127.0.0.1:0"}, {tcp: "127.0.0.1:0", dialect: plain}]
manager: 127.0.0.1:0
workers: ${workers}
scp: {reuse_buffer: 4MiB}
hosts: [{addr: "${backend.address}"}]
`;
}

interface Upgraded {
  pid: number;
  sessions: number;
}

async function upgrade(goscon: Goscon): Promise<Upgraded> {
  const { status, text } = await goscon.manager("POST", "/upgrade");
  assert.equal(status, 200, text);
  return JSON.parse(text);
}

for (const [i, dialect] of (["goscon", "plain"] as const).entries()) {
  Deno.test(
    `upgraded under load, no session loses a byte, and no client its connection, dialect ${dialect}`,
    LINUX,
    async () => {
      await using backend = new Backend();
      await using goscon = await Goscon.start(configOf(backend, WORKERS[0]!));
      let isOver = false;
      const load = { sessions: SESSIONS, bytes: 6_000_000, cutWithin: 2 ** 40, silence: 0, random: new Random() };
      const running = runChaos({ address: goscon.addresses[i]!, dialect, backend, ...load })
        .finally(() => isOver = true);
      running.catch(() => {}); // awaited below
      const begun = () => goscon.events.filter((e) => e.message === "session new").length >= SESSIONS;
      await goscon.event(begun);
      let [upgrades, moved] = [0, 0];
      for (const workers of WORKERS.slice(1)) {
        await goscon.rewrite(configOf(backend, workers));
        moved += (await upgrade(goscon)).sessions;
        upgrades++;
        if (isOver) break;
      }
      const { resumes } = await running;
      const resumed = goscon.events.filter((e) => e.message === "session resumed");
      assert.deepEqual({ resumes, resumed }, { resumes: { 1: 0, 2: 0 }, resumed: [] });
      assert(moved > SESSIONS, `only ${moved} have moved`);
      await goscon.stopped(upgrades);
      assert.deepEqual(goscon.events.filter((e) => e.message === "session not taken"), []);
    },
  );
}

Deno.test(
  "a client whose session has moved to a process with other threads resumes there",
  LINUX,
  async () => {
    await using backend = new Backend();
    await using goscon = await Goscon.start(configOf(backend, 4));
    const address = goscon.addresses[0]!;
    const opened: { client: RawClient | AckedClient; far: Link }[] = [];
    for (let n = 0; n < 12; n++) {
      const client = await (n % 2 === 0 ? RawClient : AckedClient).open(address);
      opened.push({ client, far: await backend.accept() });
    }
    for (const workers of [3, 1, 2]) {
      await goscon.rewrite(configOf(backend, workers));
      assert.equal((await upgrade(goscon)).sessions, opened.length);
      for (const { client, far } of opened) {
        await client.send(pattern(0, 100));
        assertSameBytes(await readExactly(far, 100), pattern(0, 100));
        await client.resume();
      }
    }
    await goscon.stopped(3);
    for (const { client } of opened) client[Symbol.dispose]();
  },
);

Deno.test(
  "a handshake that takes longer than the upgrade is not cut, and what comes of it goes over",
  LINUX,
  async () => {
    await using backend = new Backend();
    await using goscon = await Goscon.start(configOf(backend, 2));
    const address = goscon.addresses[0]!;
    const hello = request({
      privateKey: 0x1234567890abcdefn,
      target: "",
      flag: 0,
      dialect: "goscon",
      cacheSize: 2 ** 20,
    });
    const link = await tcp(address);
    await writeAll(link, hello.record.slice(0, 10));
    const handshakes = async () => JSON.parse((await goscon.manager("GET", "/status")).text).gauges.handshakes;
    while (await handshakes() === 0);
    assert.equal((await upgrade(goscon)).sessions, 0);
    await writeAll(link, hello.record.slice(10));
    const answer = await readRecord(link);
    using client = new RawClient(address, hello.finish(answer!.content), link);
    const first = await backend.accept();
    await goscon.event((e) => e.message === "upgraded late" && e.sessions === 1);
    assert.equal(await goscon.exited(), 0);
    await client.send(pattern(0, 100));
    // A session may go over while its backend is dialled, which it is anew then: the first connection ends without a byte.
    const bytes = await readExactly(first, 100);
    assertSameBytes(bytes.length > 0 ? bytes : await readExactly(await backend.accept(), 100), pattern(0, 100));
    await client.resume();
  },
);

/** With so many in its hands: it has not said that it takes the last, or has, and does not go on with it yet. */
for (const [until, had] of [["session 19", 18], ["took 17", 17]] as const) {
  Deno.test(
    `when the new process is killed at ${until} only what it had is lost, and so all are told`,
    LINUX,
    async () => {
      const dir = await Deno.makeTempDir();
      const at = join(dir, "program");
      await Deno.symlink(EXECUTABLE, at);
      {
        await using backend = new Backend();
        await using goscon = await Goscon.start(configOf(backend, 1), { at });
        const address = goscon.addresses[0]!;
        const opened: { client: RawClient | AckedClient; far: Link }[] = [];
        for (let n = 0; n < 20; n++) {
          const client = await (n % 2 === 0 ? RawClient : AckedClient).open(address);
          opened.push({ client, far: await backend.accept() });
        }
        await Deno.remove(at);
        await Deno.writeTextFile(at, stubUntil(until, "crash"), { mode: 0o755 });
        const { status, text } = await goscon.manager("POST", "/upgrade");
        assert.equal(status, 422);
        const lost = "sessions that had gone over, and are lost with it: " + had;
        assert.deepEqual(JSON.parse(text).faults, ["the new process ended by SIGKILL", lost]);
        for (const { client, far } of opened.slice(had)) {
          await client.send(pattern(0, 100));
          assertSameBytes(await readExactly(far, 100), pattern(0, 100));
          await client.resume();
        }
        for (const { client, far } of opened.slice(0, had)) {
          assert.equal(await far.read(new Uint8Array(1)).catch(() => null), null);
          const { link, answer } = await ask(address, client.resumeContent());
          assert.match(answer, /^0\n404/);
          link.close();
        }
        for (const { client } of opened) client[Symbol.dispose]();
      }
      await Deno.remove(dir, { recursive: true });
    },
  );
}
