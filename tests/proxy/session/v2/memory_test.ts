import assert from "node:assert/strict";
import { CacheBudget, type CacheHolder } from "../../../../lib/proxy/session/cache/cache_budget.ts";
import { GoneSessions } from "../../../../lib/proxy/session/v2/gone_sessions.ts";
import { ResumeKey } from "../../../../lib/proxy/session/v2/resume_key.ts";
import { SharedState } from "../../../../lib/proxy/shared_state.ts";
import { AckedStage } from "../../../helpers/acked_stage.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { pattern } from "../../../helpers/random.ts";

const KIB = 1024;
const MIB = 2 ** 20;
const LARGE = { cacheSize: MIB, window: MIB, clientWindow: MIB };

/** A look, and what it says, a second later. */
async function look(stage: AckedStage, time: ReturnType<typeof stillTime>): Promise<void> {
  time.pass(1000);
  stage.session.look(0);
  await Promise.resolve();
}

/** Fills a session's window: its backend takes nothing. */
async function fillWindow(stage: AckedStage, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 16 * KIB) await stage.send(pattern(0, Math.min(left, 16 * KIB)));
}

/** Fills a session's cache: its client reads nothing. */
function fillCache(stage: AckedStage, count: number): void {
  for (let left = count; left > 0; left -= 16 * KIB) stage.backend.bring(pattern(0, Math.min(left, 16 * KIB)));
}

/** One of version 1, of so many bytes that it gives back or not. */
class Cache implements CacheHolder {
  cacheInUse: number;
  readonly #budget: CacheBudget;

  constructor(budget: CacheBudget, count: number) {
    this.#budget = budget;
    this.cacheInUse = count;
    budget.cameIn(this);
    budget.add(count);
  }

  shrinkCache(): void {}

  releaseCache(): void {
    this.#budget.add(-this.cacheInUse);
    this.cacheInUse = 0;
  }
}

Deno.test("a session's memory is counted while it is full both ways, and given back when it idles", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ ...LARGE, backendRoom: 0 });
  await fillWindow(stage, 256 * KIB);
  fillCache(stage, 256 * KIB);
  await look(stage, time);
  const { budget } = stage;
  assert(budget.inUse >= 512 * KIB - 16 * KIB && budget.inUse <= 2 * MIB, `${budget.inUse}`);
  assert.equal(budget.inUse, stage.session.describe().cache);
  stage.backend.take();
  await look(stage, time);
  await stage.acknowledge();
  await look(stage, time);
  assert.deepEqual([budget.inUse, stage.session.describe().cache], [0, 0]);
  stage.session.abort("admin");
  time.pass(1000);
  assert.equal(budget.inUse, 0);
});

Deno.test("what a backend sent and there was no room for is counted until there is", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ ...LARGE, clientWindow: 256 * KIB });
  while (stage.session.bytes.sent < 240 * KIB) stage.backend.bring(pattern(0, 16 * KIB));
  const before = stage.budget.inUse;
  stage.backend.bring(pattern(0, 128 * KIB));
  assert(stage.budget.inUse - before >= 112 * KIB, `${before}, ${stage.budget.inUse}`);
  assert.equal(stage.backend.isHeard, false);
  await stage.acknowledge();
  assert(stage.budget.inUse - before <= 80 * KIB, `${before}, ${stage.budget.inUse}`);
  assert.equal(stage.backend.isHeard, true);
});

Deno.test("the first 16 KiB of a window are each session's own", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ ...LARGE, backendRoom: 0 });
  await fillWindow(stage, 16 * KIB);
  await look(stage, time);
  assert.equal(stage.budget.inUse, 0);
  await stage.send("x");
  assert(stage.budget.inUse > 0);
});

Deno.test("a client that is away holds its memory; its end gives it back", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying({ ...LARGE, backendRoom: 0, reuseTime: 60_000 });
  await fillWindow(stage, 256 * KIB);
  fillCache(stage, 256 * KIB);
  stage.flow.end();
  await look(stage, time);
  assert(stage.budget.inUse > 256 * KIB);
  stage.resume();
  stage.flow.end();
  time.pass(60_000);
  assert.deepEqual([stage.ends[0], stage.budget.inUse], ["reuse_timeout", 0]);
});

Deno.test("a peer that sends PINGs and reads nothing has one PONG, to the last of them", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying(LARGE);
  await stage.acknowledge();
  const before = stage.flow.written.length;
  stage.flow.room = 0;
  const pings = new Uint8Array(5 * 10_000);
  for (let i = 0; i < 10_000; i++) pings.set([3, 0, 0, i >> 8, i], 5 * i);
  for (let round = 0; round < 20; round++) {
    stage.flow.bring(pings);
    await Promise.resolve();
  }
  assert.equal(stage.budget.inUse, 0);
  stage.flow.take();
  const said = stage.flow.written.subarray(before);
  // The first may have been on its way.
  assert(said.length <= 10, `${said.length} bytes`);
  assert.deepEqual([...said.subarray(-5)], [4, 0, 0, 9999 >> 8, 9999 & 255]);
});

Deno.test("frames that nobody knows are skipped, and nothing of them is kept", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying(LARGE);
  for (let i = 0; i < 200; i++) {
    stage.flow.bring(Uint8Array.of(128 + i % 128, 255, 255));
    stage.flow.bring(new Uint8Array(65_535).fill(9));
  }
  assert.equal(stage.budget.inUse, 0);
  await stage.send("abc");
  assert.equal(stage.backend.text, "abc");
});

Deno.test("DATA of one byte each, that nobody takes, holds memory for the bytes and not for the frames", async () => {
  using _time = stillTime();
  const stage = await AckedStage.relaying({ ...LARGE, backendRoom: 0 });
  const frames = Uint8Array.from({ length: 4 * 10_000 }, (_, i) => [1, 0, 1, 7][i % 4]!);
  for (let i = 0; i < 10; i++) stage.flow.bring(frames);
  assert(stage.budget.inUse <= 128 * KIB, `${stage.budget.inUse}`);
});

Deno.test("with too little memory a session's backend is read on while little is on its way, and the session goes on", async () => {
  using _time = stillTime();
  const budget = new CacheBudget(64 * KIB);
  const stage = await AckedStage.relaying({ ...LARGE, budget });
  budget.add(64 * KIB);
  while (stage.backend.isHeard) stage.backend.bring(pattern(0, 1000));
  assert(stage.backend.brought >= 64_000 && stage.backend.brought < 80_000, `${stage.backend.brought}`);
  await stage.acknowledge();
  assert.equal(stage.backend.isHeard, true);
});

Deno.test("over the limit caches of version 1 give way, and no session of version 2 ends", async () => {
  using time = stillTime();
  const budget = new CacheBudget(2 * MIB);
  const cache = new Cache(budget, MIB);
  budget.wentAway(cache);
  const stage = await AckedStage.relaying({ ...LARGE, budget, backendRoom: 0 });
  await fillWindow(stage, MIB);
  fillCache(stage, 600 * KIB);
  for (let i = 0; i < 5; i++) {
    await look(stage, time);
    budget.reclaim();
  }
  assert.deepEqual([cache.cacheInUse, stage.ends], [0, []]);
});

Deno.test("when that does not do, the session that holds most ends with 5, and no other", async () => {
  using time = stillTime();
  const budget = new CacheBudget(MIB);
  const small = await AckedStage.relaying({ ...LARGE, budget, backendRoom: 0 });
  const large = await AckedStage.relaying({ ...LARGE, budget, backendRoom: 0 });
  const middle = await AckedStage.relaying({ ...LARGE, budget, backendRoom: 0 });
  await fillWindow(small, 40 * KIB);
  await fillWindow(middle, 256 * KIB);
  await fillWindow(large, MIB);
  budget.reclaim();
  assert.deepEqual([small.ends, middle.ends, large.ends], [[], [], []]);
  budget.reclaim();
  assert.deepEqual([small.ends, middle.ends, large.ends], [[], [], ["limit"]]);
  large.read();
  assert.deepEqual([large.code, large.closed, large.backendSaw], [5, 5, "reset"]);
  assert.match(String(large.log.of("session ended")[0]!.reason), /limits\.cache_bytes/);
  budget.reclaim();
  budget.reclaim();
  assert.deepEqual([small.ends, middle.ends], [[], []]);
  for (const { session } of [small, middle]) session.abort("admin");
  assert.equal(budget.inUse, 0);
  time.pass(1000);
});

Deno.test("sessions that hold little never pay: neither for caches of version 1 that are in use, nor for another thread's", async () => {
  using time = stillTime();
  const shared = new SharedState();
  shared.sessions.set(7);
  const [budget, other] = [new CacheBudget(MIB, shared), new CacheBudget(MIB, shared)];
  const stages = [];
  for (let i = 0; i < 5; i++) {
    const stage = await AckedStage.relaying({ ...LARGE, budget, backendRoom: 0 });
    await fillWindow(stage, 60 * KIB);
    stages.push(stage);
  }
  new Cache(budget, 2 * MIB);
  const hog = await AckedStage.relaying({ ...LARGE, budget: other, backendRoom: 0 });
  await fillWindow(hog, MIB);
  for (let i = 0; i < 5; i++) {
    budget.reclaim();
    other.reclaim();
  }
  assert.deepEqual([hog.ends[0], ...stages.flatMap(({ ends }) => ends)], ["limit"]);
  for (const { session } of stages) session.abort("admin");
  time.pass(1000);
});

Deno.test("a thread ends sessions for its part of what is too much, and not for what others hold", async () => {
  using time = stillTime();
  const shared = new SharedState();
  shared.sessions.set(20);
  const [budget, other] = [new CacheBudget(4 * MIB, shared), new CacheBudget(4 * MIB, shared)];
  const stages = [];
  for (let i = 0; i < 4; i++) {
    const stage = await AckedStage.relaying({ ...LARGE, budget, backendRoom: 0 });
    await fillWindow(stage, 256 * KIB);
    stages.push(stage);
  }
  other.add(5 * MIB);
  budget.reclaim();
  budget.reclaim();
  const ended = stages.filter(({ ends }) => ends.length > 0).length;
  assert.equal(ended, 2, "of 6 MiB 2 are too much, of which this thread has a sixth");
  for (const { session } of stages) session.abort("admin");
  time.pass(1000);
  assert.equal(budget.inUse, 0);
});

Deno.test("however many sessions hold the same, what they hold together comes down to the limit", async () => {
  using time = stillTime();
  const budget = new CacheBudget(5 * MIB);
  const stages = [];
  for (let i = 0; i < 100; i++) {
    const stage = await AckedStage.relaying({ ...LARGE, budget, backendRoom: 0 });
    await fillWindow(stage, 100 * KIB);
    stages.push(stage);
  }
  assert(budget.inUse > 8 * MIB);
  budget.reclaim();
  budget.reclaim();
  assert(budget.inUse <= 5 * MIB && budget.inUse > 4 * MIB, `${budget.inUse}`);
  for (const { session } of stages) session.abort("admin");
  time.pass(1000);
  assert.equal(budget.inUse, 0);
});

Deno.test("of sessions that have ended a number is remembered, and the oldest are forgotten", () => {
  const gone = new GoneSessions();
  const key = new ResumeKey(new Uint8Array(32));
  for (let id = 1; id <= 1000; id++) gone.add({ id, key, end: 3, index: 0, until: id }, 100);
  assert.deepEqual([gone.size, gone.has(900), gone.has(901)], [100, false, true]);
  gone.forget(950);
  assert.deepEqual([gone.size, gone.has(950), gone.has(951)], [50, false, true]);
  // A reload may lower it.
  gone.add({ id: 2000, key, end: 3, index: 0, until: 2000 }, 10);
  assert.equal(gone.size, 10);
});

Deno.test("what a backend still sends after the end is forgotten", async () => {
  using time = stillTime();
  const stage = await AckedStage.relaying(LARGE);
  await stage.finish();
  stage.session.abort("admin");
  for (let i = 0; i < 100; i++) stage.backend.bring(pattern(0, 16 * KIB));
  assert.deepEqual([stage.budget.inUse, stage.backend.isHeard], [0, true]);
  stage.backend.end();
  time.pass(1000);
  assert.equal(stage.ends.at(-1), "closed");
});
