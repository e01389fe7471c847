import { reasonOf } from "../../lib/link/link.ts";
import { REUSE_TIME } from "./config.ts";
import type { Run } from "./run.ts";
import { comesTrue, sleep } from "./sleep.ts";
import { mib, type Usage } from "./usage.ts";

/** The proxy before, while and after it had sessions. */
export interface Usages {
  /** Before the first session. */
  idle: Usage;
  /** When all are there, and a fifth of the time is over. */
  warm?: Usage;
  /** Before they were closed. */
  full?: Usage;
  /** After that. */
  closed?: Usage;
}

/** Descriptors more than at the start that the proxy may have when there are no sessions any more. */
export const MORE_DESCRIPTORS = 10;
/** Milliseconds between two lines of progress. */
const PROGRESS = 30_000;

/** Goes through a run, up to the first failure. Never rejects: what went wrong is among the failures. */
export async function goThrough(run: Run): Promise<Usages> {
  const usages: Usages = { idle: await run.proxy.usage() };
  const started = performance.now();
  const progress = setInterval(() => void tell(run, performance.now() - started), PROGRESS);
  const look = setInterval(() => run.population.look(), 5000);
  try {
    await Promise.race([live(run, usages), run.failures.first]);
    run.weather.calm();
    if (!run.failures.reason) await close(run, usages);
  } catch (error) {
    run.failures.add(reasonOf(error));
  } finally {
    clearInterval(progress);
    clearInterval(look);
  }
  return usages;
}

async function live(
  { options, proxy, population, strays, turnover, operator, failures }: Run,
  usages: Usages,
): Promise<void> {
  const started = performance.now();
  const until = (part: number) => sleep(started + part * options.time - performance.now());
  strays.start();
  operator.start();
  await Promise.all([population.settle(options.sessions), until(0.2)]);
  if (failures.reason) return;
  turnover.start();
  usages.warm = await proxy.usage();
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`warm after ${seconds} s, with ${population.size} sessions`);
  await until(0.5);
  strays.mayLeaveSessions = false;
  await until(1);
}

/** All sessions end in order, and so does all that was opened for them. */
async function close(
  { proxy, manager, population, strays, turnover, operator, failures }: Run,
  usages: Usages,
): Promise<void> {
  await Promise.all([operator.stop(), strays.stop(), turnover.stop()]);
  usages.full = await proxy.usage();
  await population.finish();
  const lost = await manager.notResumable();
  if (lost > 0) failures.add(`the proxy did not hold what ${lost} resumes needed (406)`);
  let left = 0;
  // Of clients that left in their handshake, a session is there until its time is over.
  const none = async () => (left = await manager.sessions()) === 0;
  if (!await comesTrue(none, REUSE_TIME + 15_000)) failures.add(`the proxy has ${left} sessions, and no client`);
  const allowed = (usages.idle.descriptors ?? 0) + MORE_DESCRIPTORS;
  await comesTrue(async () => ((usages.closed = await proxy.usage()).descriptors ?? 0) <= allowed, 15_000);
}

async function tell({ proxy, backend, population, tally, failures }: Run, elapsed: number): Promise<void> {
  const { descriptors = NaN, memory } = await proxy.usage();
  const { down, resumes, faultCount, orderly, moved, reloads, adminCalls } = tally;
  console.log(
    `${Math.round(elapsed / 1000)} s: ${population.size} sessions, ${mib(backend.checked)} up, ${mib(down)} down, ` +
      `${faultCount} faults, ${resumes[1]} and ${
        resumes[2]
      } resumes, ${orderly} ends in order, ${moved} moves, ${reloads} reloads, ${adminCalls} admin calls; ` +
      `proxy ${descriptors} descriptors, ${mib(memory)}; ${failures.count} failures`,
  );
}

/** Ends all that still runs. */
export async function tearDown(
  { proxy, backend, population, strays, turnover, operator, failures }: Run,
): Promise<void> {
  if (failures.reason !== undefined) failures.close();
  population.abandon();
  await Promise.all([operator.stop(), strays.stop(), turnover.stop()]);
  const code = await proxy.stop();
  if (code === undefined) failures.add("the proxy did not end at SIGTERM");
  else if (code !== 0) failures.add(`the proxy's exit code is ${code}`);
  await backend.stop();
}
