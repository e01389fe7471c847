import assert from "node:assert/strict";
import type { EngineName } from "../../../../lib/config/engines.ts";
import type { Engine } from "../../../../lib/link/engine/engine.ts";
import { Backend } from "../../../helpers/backend.ts";
import { type Chaos, runChaos } from "../../../helpers/chaos.ts";
import { engineOf, NATIVE } from "../../../helpers/engine.ts";
import { moveAll, Switchboard } from "../../../helpers/moving.ts";
import { ownDescriptors } from "../../../helpers/own_descriptors.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { Random } from "../../../helpers/random.ts";
import { turn, until } from "../../../helpers/turns.ts";

const SESSIONS = 24;
/** What is to go at least: all to and fro, however busy the machine is. */
const MOVES = 2 * SESSIONS;

interface Load extends Pick<Chaos, "bytes" | "cutWithin" | "silence"> {
  dialect: "goscon" | "plain";
  engines: [EngineName, EngineName];
  /** The most turns of the event loop between two times that all go. */
  most: number;
  random: Random;
}

/** Two proxies, between which all sessions go to and fro while bytes go over them, both ways. */
async function moveUnderLoad(
  { dialect, engines: names, random, most, ...load }: Load,
): Promise<{ resumes: number; moves: number }> {
  const engines: Engine[] = names.map(engineOf);
  await using backend = new Backend();
  const keys = {
    hosts: [{ addr: backend.address }],
    shutdown_timeout: "10ms",
    limits: { sessions: 1000, sessions_per_ip: 1000 },
    // A cache that holds all that there is on the way.
    scp: { reuse_buffer: "4MiB" },
  };
  const proxies = engines.map((engine) => TestProxy.start(keys, { engine }));
  const addressOf = (proxy: TestProxy) => dialect === "plain" ? proxy.plainAddress : proxy.address;
  await using board = new Switchboard(addressOf(proxies[0]!));
  let [isOver, moves] = [false, 0];
  const running = runChaos({ ...load, address: board.address, dialect, backend, sessions: SESSIONS, random })
    .finally(() => isOver = true);
  const moving = (async () => {
    await until(() => proxies[0]!.log.of("session new").length === SESSIONS, () => "not all sessions began");
    for (let from = 0; !isOver; from = 1 - from) {
      // Those that come meanwhile, also for sessions that have not gone over, come to the new one.
      board.to = addressOf(proxies[1 - from]!);
      moves += await moveAll(proxies[from]!, proxies[1 - from]!);
      // The second time comes soon: by chance all would be over before it.
      for (let turns = moves > SESSIONS ? random.int(0, most) : 0; turns > 0; turns--) await turn();
    }
  })();
  const [{ resumes }] = await Promise.all([running, moving]);
  for (const proxy of proxies) {
    await proxy.stop();
    assert.equal(await proxy.size(), 0);
    const { upstreams } = await proxy.proxy.snapshot();
    assert.deepEqual(upstreams.map(({ sessions }) => sessions), [0], "a host has sessions that are over");
    assert.deepEqual(proxy.log.of("connection not taken"), []);
  }
  const ended = proxies.flatMap((proxy) => proxy.log.of("session ended"));
  assert.deepEqual(new Set(ended.map(({ id }) => id)).size, ended.length, "a session ended twice");
  for (const engine of engines) await engine.close();
  return { resumes: resumes[1] + resumes[2], moves };
}

async function test(
  load: Omit<Load, "random">,
  check: (outcome: { resumes: number; moves: number }) => void,
): Promise<void> {
  const random = new Random();
  const before = ownDescriptors();
  try {
    check(await moveUnderLoad({ ...load, random }));
  } catch (error) {
    throw new Error(`GOSCON_SEED=${random.seed} shows this again`, { cause: error });
  }
  // Those of the switchboard close by and by.
  await until(() => ownDescriptors().size <= before.size, () => `descriptors: ${[...ownDescriptors()]}`);
}

const PAIRS = NATIVE.flatMap((one) => NATIVE.map((other) => [one, other] as [EngineName, EngineName]));

for (const engines of PAIRS) {
  for (const dialect of ["goscon", "plain"] as const) {
    Deno.test(`sessions that go from ${engines[0]} to ${engines[1]} and back, again and again, lose no byte, and no client notices, dialect ${dialect}`, () =>
      test({ dialect, engines, bytes: 200_000, cutWithin: 2 ** 40, silence: 0, most: 20 }, ({ resumes, moves }) => {
        assert(moves > MOVES, `only ${moves} moves`);
        assert.equal(resumes, 0, "a client lost its connection");
      }));
  }
}

for (const [i, dialect] of (["goscon", "plain"] as const).entries()) {
  const engines = PAIRS.at(i - 2)!;
  Deno.test(`the same while links are cut anywhere, from ${engines[0]} to ${engines[1]}, dialect ${dialect}`, () =>
    test({ dialect, engines, bytes: 60_000, cutWithin: 40_000, most: 1000 }, ({ resumes, moves }) => {
      assert(moves > SESSIONS, `only ${moves} moves`);
      assert(resumes > SESSIONS, `only ${resumes} resumes`);
    }));
}
