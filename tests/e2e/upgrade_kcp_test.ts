import assert from "node:assert/strict";
import { join } from "node:path";
import { writeAll } from "../../lib/link/link.ts";
import { END } from "../../lib/scp/v2/mod.ts";
import { AckedClient } from "../helpers/acked_client.ts";
import { Backend } from "../helpers/backend.ts";
import { NATIVE } from "../helpers/engine.ts";
import { EXECUTABLE, Goscon, OLD_RUNTIME } from "../helpers/goscon.ts";
import { kcp } from "../helpers/kcp_client.ts";
import { Random } from "../helpers/random.ts";
import { answerOn, openOver, record } from "../helpers/raw_client.ts";
import { stubUntil } from "../helpers/stub_successor.ts";
import { Traffic } from "../helpers/traffic.ts";
import { endpoint } from "../helpers/udp.ts";
import { UdpRelay } from "../helpers/udp_relay.ts";

/** Milliseconds after which a client whose conversation does not go on finds it lost, and resumes. */
const SILENCE = 10_000;

/** Nothing is to be heard of these; the last is of what came for a conversation where that was not any more, or not yet. */
const FAULTS = ["session not taken", "connection not taken", "session lost", "internal error", "datagrams dropped"];

interface Run {
  io: string;
  dialect: "goscon" | "plain";
  /** Threads of one process after another. */
  workers: number[];
  sessions: number;
  /** What has to come over each session, each way, between two upgrades. */
  bytes: number;
  /** The part of all datagrams that is lost. */
  loss: number;
}

/** `more`: listeners before those of KCP. */
function configOf(backend: Backend, io: string, workers: number, more = ""): string {
  const kcp = `kcp: "127.0.0.1:0", fec: {data: 3, parity: 1}`;
  return `listen: [${more}{${kcp}}, {${kcp}, dialect: plain}]
manager: 127.0.0.1:0
workers: ${workers}
io: ${io}
scp: {reuse_buffer: 4MiB}
hosts: [{addr: "${backend.address}"}]
`;
}

/** Has one process after another take over, while bytes go both ways over sessions of KCP, none of which is resumed. */
async function upgradeUnderLoad(
  { io, dialect, workers: [first, ...others], sessions, bytes, loss }: Run,
): Promise<void> {
  const random = new Random();
  await using backend = new Backend();
  await using goscon = await Goscon.start(configOf(backend, io, first!));
  const address = goscon.addresses[dialect === "goscon" ? 0 : 1]!;
  await using relay = new UdpRelay(endpoint(address), { random: random.fork(), loss });
  const to = loss > 0 ? relay.address : address;
  // Half of each version have FEC.
  const dial = (number: number) => kcp(to, number & 2 ? [3, 1] : undefined, SILENCE);
  try {
    const traffic = await Traffic.begin({ sessions, dialect, backend, random, dial });
    for (const workers of others) {
      await traffic.more(bytes);
      // Of the same address, but of TCP.
      await goscon.rewrite(configOf(backend, io, workers, `{tcp: "127.0.0.1:0"}, `));
      const { status, text } = await goscon.manager("POST", "/upgrade");
      assert.deepEqual([status, JSON.parse(text).sessions], [200, sessions], text);
    }
    await traffic.more(bytes);
    for (const fault of FAULTS) assert.deepEqual(goscon.events.filter((e) => e.message === fault), []);
    await traffic.end();
    assert.equal(traffic.resumes, 0);
  } catch (error) {
    throw new Error(`GOSCON_SEED=${random.seed} shows this again`, { cause: error });
  }
}

function test(what: string, run: Omit<Run, "io">, engine: number): void {
  const io = NATIVE.at(engine) ?? NATIVE.at(-1);
  // There a thread of epoll that is busy with datagrams may not hear for seconds what it is told.
  const ignore = !io || OLD_RUNTIME && run.workers.includes(4);
  Deno.test(`${what}, io: ${io}, dialect ${run.dialect}`, { ignore }, () => upgradeUnderLoad({ ...run, io: io! }));
}

for (const [engine, dialect] of (["goscon", "plain"] as const).entries()) {
  const workers = [[2, 3, 1], [1, 4, 2]][engine]!;
  test(
    `clients of KCP keep their conversations through upgrades under load, of ${workers.join(", then ")} threads`,
    { dialect, workers, sessions: 6, bytes: 20_000, loss: 0 },
    engine,
  );
}

test(
  "the same over a network that loses datagrams",
  { dialect: "goscon", workers: [3, 2], sessions: 4, bytes: 20_000, loss: 0.05 },
  1,
);

Deno.test(
  "a session of KCP that cannot go over ends, which its client is told, by the old process or by the new one",
  { ignore: NATIVE.length === 0 },
  async () => {
    const config = `listen: [{kcp: "127.0.0.1:0"}]
manager: 127.0.0.1:0
scp: {reuse_time: 10m, v2: {reuse_time: 10m}}
hosts: [{addr: "builtin:echo"}]
`;
    await using goscon = await Goscon.start(config);
    const address = goscon.addresses[0]!;
    using told = await AckedClient.open(address, { dial: kcp });
    const one = await openOver(await kcp(address));
    assert.equal((await goscon.manager("POST", "/upgrade")).status, 200);
    assert.equal((await told.ending()).code, END.shutdown);
    assert.equal(await goscon.exited(), 0);
    // It would be told so by the new process as well.
    assert.equal(await told.askEnd(), END.shutdown);
    const link = await kcp(address);
    await writeAll(link, record(one.resumeContent()));
    assert.match(await answerOn(link), /^0\n404/);
    for (const each of [link, one.link]) each.close();
    const ended = goscon.events.filter((e) =>
      e.message === "session ended" && /the socket of its client/.test(String(e.reason))
    );
    assert.deepEqual(new Set(ended.map(({ id }) => id)), new Set([told.id, one.id]));
  },
);

Deno.test(
  "when the new process fails, clients of KCP go on with the old one",
  { ignore: NATIVE.length === 0 },
  async () => {
    const dir = await Deno.makeTempDir();
    const at = join(dir, "program");
    await Deno.symlink(EXECUTABLE, at);
    {
      const [random, sessions] = [new Random(), 4];
      await using backend = new Backend();
      await using goscon = await Goscon.start(configOf(backend, NATIVE[0]!, 2), { at });
      const dial = (number: number) => kcp(goscon.addresses[0]!, number & 2 ? [3, 1] : undefined, SILENCE);
      const traffic = await Traffic.begin({ sessions, dialect: "goscon", backend, random, dial });
      await Deno.remove(at);
      // Before a session has gone over; and with the first in its hands.
      for (const until of ["serving", "session 1"]) {
        const next = join(dir, "next");
        await Deno.writeTextFile(next, stubUntil(until, "crash"), { mode: 0o755 });
        await Deno.rename(next, at);
        const { status, text } = await goscon.manager("POST", "/upgrade");
        assert.deepEqual([status, JSON.parse(text).faults], [422, ["the new process ended by SIGKILL"]]);
        await traffic.more(20_000);
      }
      await traffic.end();
      assert.equal(traffic.resumes, 0, `GOSCON_SEED=${random.seed}`);
    }
    await Deno.remove(dir, { recursive: true });
  },
);
