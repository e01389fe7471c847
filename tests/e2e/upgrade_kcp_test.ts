import assert from "node:assert/strict";
import { Backend } from "../helpers/backend.ts";
import { NATIVE } from "../helpers/engine.ts";
import { Goscon } from "../helpers/goscon.ts";
import { kcp } from "../helpers/kcp_client.ts";
import { Random } from "../helpers/random.ts";
import { Traffic } from "../helpers/traffic.ts";

const LINUX = { ignore: NATIVE.length === 0 };
const SESSIONS = 6;
/** Threads of one process after another. */
const WORKERS = [2, 3, 1, 4];
/** What has to come over each session, both ways, between two upgrades. */
const BYTES = 50_000;

function configOf(backend: Backend, workers: number, io: string): string {
  const kcp = `kcp: "127.0.0.1:0", fec: {data: 3, parity: 1}`;
  return `listen: [{${kcp}}, {${kcp}, dialect: plain}]
manager: 127.0.0.1:0
workers: ${workers}
io: ${io}
scp: {reuse_buffer: 4MiB}
hosts: [{addr: "${backend.address}"}]
`;
}

async function upgrade(goscon: Goscon): Promise<{ pid: number; sessions: number }> {
  const { status, text } = await goscon.manager("POST", "/upgrade");
  assert.equal(status, 200, text);
  return JSON.parse(text);
}

for (const [i, dialect] of (["goscon", "plain"] as const).entries()) {
  const io = NATIVE.at(i - 2)!;
  Deno.test(
    `clients of KCP keep their conversations through upgrades under load, with io: ${io}, dialect ${dialect}`,
    LINUX,
    async () => {
      const random = new Random();
      await using backend = new Backend();
      await using goscon = await Goscon.start(configOf(backend, WORKERS[0]!, io));
      const address = goscon.addresses[i]!;
      // Half of each version have FEC.
      const dial = (number: number) => kcp(address, number & 2 ? [3, 1] : undefined);
      const traffic = await Traffic.begin({ sessions: SESSIONS, dialect, backend, random, dial });
      for (const workers of WORKERS.slice(1)) {
        await traffic.more(BYTES);
        await goscon.rewrite(configOf(backend, workers, io));
        assert.equal((await upgrade(goscon)).sessions, SESSIONS);
      }
      await traffic.more(BYTES);
      await traffic.end();
      assert.equal(traffic.resumes, 0, `GOSCON_SEED=${random.seed}`);
      for (const fault of ["session not taken", "connection not taken", "session lost"]) {
        assert.deepEqual(goscon.events.filter((e) => e.message === fault), []);
      }
    },
  );
}
