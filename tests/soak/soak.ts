/**
 * `deno task soak`: see `USAGE` of options.ts. The task has the runtime look at all sockets often: else a few that are busy keep it from
 * others for many seconds, and clients of the run would be what fails.
 */
import { reasonOf } from "../../lib/link/link.ts";
import { descriptorsFor, raiseDescriptors } from "./descriptors.ts";
import { type Options, readOptions } from "./options.ts";
import { prepare } from "./run.ts";
import { goThrough, tearDown } from "./stages.ts";
import { judge } from "./verdict.ts";

async function soak(options: Options): Promise<boolean> {
  const { sessions, time, seed, workers } = options;
  const more = workers === undefined ? "" : `, ${workers} workers`;
  console.log(`soaking with ${sessions} sessions for ${time / 60_000} minutes${more}; --seed ${seed}`);
  const run = await prepare(options);
  const usages = await goThrough(run);
  await tearDown(run);
  const ok = judge(run, usages);
  if (ok) await Deno.remove(run.dir, { recursive: true });
  else console.log(`the proxy's configuration and log are in ${run.dir}`);
  return ok;
}

/** The exit code. */
async function main(): Promise<number> {
  try {
    const options = readOptions(Deno.args);
    if (!options) return 0;
    return await raiseDescriptors(descriptorsFor(options.sessions)) ?? (await soak(options) ? 0 : 1);
  } catch (error) {
    console.error(`soak: ${reasonOf(error)}`);
    return 2;
  }
}

Deno.exit(await main());
