import assert from "node:assert/strict";
import { join } from "node:path";
import { Reloader } from "../../../lib/admin/reload.ts";
import type { ServiceNotifier } from "../../../lib/admin/sd_notify.ts";
import { Upgrader, type UpgraderOptions } from "../../../lib/admin/upgrade/upgrader.ts";
import { parseConfig } from "../../../lib/config.ts";
import type { Destination, MovedOut } from "../../../lib/proxy/data_plane.ts";
import type { Packed } from "../../../lib/proxy/session/move/packed.ts";
import { DescriptorCalls } from "../../../lib/link/engine/passing/descriptor_calls.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { within } from "../../../lib/within.ts";
import { withChildren } from "../../helpers/children.ts";
// Opens the C library, which stays open.
import "../../helpers/engine.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { TestLog } from "../../helpers/proxy.ts";
import { packedOf, TestLane } from "../../helpers/test_lane.ts";
import { turn } from "../../helpers/turns.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const CHILD = join(import.meta.dirname!, "..", "..", "helpers", "successor_child.ts");
if (Deno.build.os === "linux") DescriptorCalls.open();

/** What is told beside the reason, of so many. */
const lost = (count: number) => `sessions that had gone over, and are lost with it: ${count}`;

const CONFIG = `hosts: [{addr: "builtin:echo"}]\n`;

interface Stage {
  /** What settles before listening has come to that state. */
  listening?: Record<string, Promise<void>>;
  /** What a handshake comes to that takes long: a session of that key. */
  late?: bigint;
  config?: string;
}

/** An upgrader of a process that has one listener and three sessions, of which one goes before the others; what it does is written down. */
function stage(how: string, { listening = {}, late, config = "" }: Stage = {}) {
  const done: string[] = [];
  const system = System.open();
  const write = (what: string) => (detail: unknown = "") => void done.push(`${what} ${detail}`.trim());
  let lane: TestLane | undefined;
  /** What came of sessions, and was not told yet. */
  let untold = { stoodStill: [] as number[], refused: [] as string[], lost: 0 };
  const told = (pieces: unknown[] = []): MovedOut => {
    const moved = { ...untold, pieces };
    untold = { stoodStill: [], refused: [], lost: 0 };
    return moved;
  };
  const keys = new Map<Packed, bigint>();
  const kept = (session: Packed) => {
    for (const fd of session.descriptors) system.close(fd);
    write(`kept ${keys.get(session)}`)();
  };
  const pass = async (key: bigint) => {
    const [near, far] = system.socketPair();
    system.close(near);
    const session = packedOf({ key }, [far], write(`taken ${key}`));
    keys.set(session, key);
    const outcome = await lane!.pass(session);
    if (outcome.step === "goes on") return void untold.stoodStill.push(outcome.stoodStill);
    if (outcome.step === "lost") return void untold.lost++;
    untold.refused.push(outcome.reason);
    kept(session);
  };
  async function* sessions(to: Destination, ...all: bigint[][]): AsyncGenerator<MovedOut> {
    lane ??= new TestLane(await to.openLane(0));
    for (const keys of all) {
      const passed = Promise.all(keys.map(pass));
      if (!await within(4000, passed)) throw new Error("no session is taken in time");
      yield told();
    }
  }
  async function* moveOut(to: Destination): AsyncGenerator<MovedOut> {
    yield* sessions(to, [1n], [2n, 3n]);
    yield { ...told(["all"]), isAfterAll: true };
  }
  const endMoving = async (isGone: boolean) => {
    (await lane?.end(isGone))?.forEach(kept);
    lane = undefined;
    return told();
  };
  const lates = late === undefined ? [] : [late];
  const dataPlane = {
    engine: { name: "epoll" },
    passListeners: () => {
      const [near, far] = system.socketPair();
      system.close(near);
      return Promise.resolve([{ hostname: "0.0.0.0", port: 0, hadPort: 1, descriptors: [far] }]);
    },
    sessionIds: () => Promise.resolve([1, 2, 3]),
    moveOut,
    moveLate: (to: Destination) => sessions(to, ...lates.splice(0).map((key) => [key])),
    endMoving,
    snapshot: () => Promise.resolve({ gauges: { handshakes: lates.length } }),
    setListening: (state: string) => {
      write("listening")(state);
      return listening[state] ?? Promise.resolve();
    },
  } as unknown as UpgraderOptions["dataPlane"];
  const notifier = {
    reloading: write("reloading"),
    ready: write("ready"),
    handOver: () => Promise.resolve(write("handed over")()),
  } as unknown as ServiceNotifier;
  const log = new TestLog();
  const { config: parsed } = parseConfig(CONFIG + config, "f.yaml");
  const read = () => Promise.resolve(parsed);
  const reloader = new Reloader(parsed, { log, dataPlane, read, apply: () => {} });
  const invocation = { command: Deno.execPath(), args: ["run", "-A", "--quiet", CHILD, how] };
  const upgrader = new Upgrader({
    ...{
      log,
      version: "1.2.3",
      invocation,
      dataPlane,
      manager: undefined,
      managerAt: undefined,
      reloader,
      notifier,
    },
    onReplaced: write("replaced"),
  });
  return { upgrader, reloader, done, log };
}

/** Leaves no process and no descriptor behind. */
function test(name: string, run: () => Promise<void>): void {
  Deno.test(name, LINUX, async () => {
    const before = ownDescriptors();
    await withChildren(run);
    assert.deepEqual(ownDescriptors(), before);
  });
}

test("an upgrade passes what there is, and then this process listens no more, and is not upgraded or reloaded", async () => {
  const { upgrader, reloader, done } = stage("take");
  const result = await upgrader.upgrade();
  assert(result.ok);
  assert.equal(result.sessions, 3);
  await upgrader.close("it has ended");
  assert.deepEqual(done, [
    "reloading",
    "listening paused",
    ...["taken 1", "taken 2", "taken 3"],
    "handed over",
    "listening left",
    "listening off",
    "replaced",
  ]);
  const reason = `process ${result.pid} has taken over from this one`;
  assert.deepEqual(await upgrader.upgrade(), { ok: false, refused: true, faults: [reason] });
  assert.deepEqual(await reloader.reload(), { ok: false, faults: [reason] });
});

test("a session of who needs long for a handshake goes over as soon as it has begun, when another process is the service", async () => {
  const { upgrader, done, log } = stage("take", { late: 4n });
  assert((await upgrader.upgrade()).ok);
  await upgrader.close("it has ended");
  assert.deepEqual(done.slice(-5), ["handed over", "listening left", "taken 4", "listening off", "replaced"]);
  assert.deepEqual(log.of("upgraded late").map(({ sessions }) => sessions), [1]);
});

test("who has all and does not say so is left alive, and is the service", async () => {
  const { upgrader, done, log } = stage("hang", { config: "upgrade_timeout: 4s\n" });
  const upgrading = upgrader.upgrade();
  await log.nth("upgrade begun");
  const pid = Number(log.of("upgrade begun")[0]!.pid);
  try {
    assert((await upgrading).ok);
    await upgrader.close("it has ended");
    assert.deepEqual(done.slice(-5), ["taken 3", "handed over", "listening left", "listening off", "replaced"]);
    assert.equal(log.of("the new process has all, and does not say so").length, 1);
    assert.match(Deno.readTextFileSync(`/proc/${pid}/stat`), /^\d+ \(.*\) [RS] /);
  } finally {
    Deno.kill(pid, "SIGKILL");
  }
});

test("who has all and ends then is followed by this process, which listens on", async () => {
  const { upgrader, done } = stage("gone");
  const fault = "the new process ended with code 8";
  assert.deepEqual(await upgrader.upgrade(), { ok: false, refused: false, faults: [fault, lost(3)] });
  assert.deepEqual(done.slice(-3), ["taken 3", "listening on", `ready not upgraded: ${fault}`]);
});

test("a session that is not taken stays here, and those after it are passed", async () => {
  const { upgrader, done } = stage("refuse");
  const result = await upgrader.upgrade();
  assert(result.ok);
  assert.equal(result.sessions, 2);
  await upgrader.close("it has ended");
  assert.deepEqual(done.filter((line) => /^(taken|kept)/.test(line)), ["taken 1", "kept 2", "taken 3"]);
});

test("a crash half way leaves here what had not been taken, and this process listens on", async () => {
  const { upgrader, reloader, done, log } = stage("crash");
  const fault = "the new process ended with code 7";
  assert.deepEqual(await upgrader.upgrade(), { ok: false, refused: false, faults: [fault, lost(2)] });
  assert.deepEqual(done, [
    "reloading",
    "listening paused",
    ...["taken 1", "taken 2", "kept 3"],
    "listening on",
    `ready not upgraded: ${fault}`,
  ]);
  assert.deepEqual(log.of("not upgraded").map(({ reason }) => reason), [fault, lost(2)]);
  assert.notDeepEqual((await reloader.reload() as { faults?: unknown }).faults, [fault]); // it may be reloaded
});

test("a new process that does not go on with what it has taken is ended, and what it has not is here", async () => {
  const { upgrader, done } = stage("stall");
  const fault = "no session is taken in time";
  assert.deepEqual(await upgrader.upgrade(), { ok: false, refused: false, faults: [fault, lost(1)] });
  assert.deepEqual(done.slice(2), ["taken 1", "listening on", `ready not upgraded: ${fault}`]);
});

for (const [how, isReplaced] of [["take", true], ["crash", false]] as const) {
  test(`while another process takes over nobody is told whose a request is, and then it is ${isReplaced ? "the other's" : "its own"}`, async () => {
    const paused = Promise.withResolvers<void>();
    const { upgrader, done } = stage(how, { listening: { paused: paused.promise } });
    assert.equal(await upgrader.isReplaced(), false);
    const upgrading = upgrader.upgrade();
    assert.equal(await upgrader.isReplaced(), false, "it has not begun to take over");
    while (!done.includes("listening paused")) await turn();
    const known = upgrader.isReplaced();
    assert.equal(await Promise.race([known, turn().then(() => "waits")]), "waits");
    paused.resolve();
    assert.equal((await upgrading).ok, isReplaced);
    assert.equal(await known, isReplaced);
    await upgrader.close("it has ended");
    assert.equal(await upgrader.isReplaced(), isReplaced);
  });
}

test("one that is closed while a successor takes over waits for that", async () => {
  const paused = Promise.withResolvers<void>();
  const { upgrader, done } = stage("take", { listening: { paused: paused.promise } });
  const upgrading = upgrader.upgrade();
  while (!done.includes("listening paused")) await turn();
  const closing = upgrader.close("it is late");
  paused.resolve();
  await closing;
  assert.equal(done.at(-1), "replaced");
  assert((await upgrading).ok);
});

test("one that is closed when a successor has all, and this process lets go, leaves that alive", async () => {
  const letGo = Promise.withResolvers<void>();
  const { upgrader, done, log } = stage("take", { listening: { off: letGo.promise } });
  const upgrading = upgrader.upgrade();
  while (!done.includes("listening off")) await turn();
  const closing = upgrader.close("it is late").then(() => "closed");
  const pid = Number(log.of("upgrade begun")[0]!.pid);
  assert.equal(await within(300, closing), undefined);
  assert.match(Deno.readTextFileSync(`/proc/${pid}/stat`), /^\d+ \(.*\) [RS] /);
  letGo.resolve();
  await closing;
  assert.equal(done.at(-1), "replaced");
  assert((await upgrading).ok);
});

test("one that is closed before that ends it", async () => {
  const { upgrader, log, done } = stage("take");
  const upgrading = upgrader.upgrade();
  await log.nth("upgrade begun");
  await upgrader.close("it is late");
  assert.deepEqual(await upgrading, { ok: false, refused: false, faults: ["it is late"] });
  assert.deepEqual(done, ["reloading", "ready not upgraded: it is late"]);
});

test("one that was closed upgrades no more, for that reason", async () => {
  const { upgrader, done } = stage("take");
  await upgrader.close("it is late");
  assert.deepEqual(await upgrader.upgrade(), { ok: false, refused: true, faults: ["it is late"] });
  assert.deepEqual(done, []);
});
