import { type EngineName, ENGINES } from "../../../config/engines.ts";
import { openEngine } from "../../../link/engine/open_engine.ts";
import { reasonOf } from "../../../link/link.ts";
import type { IoInfo } from "../../data_plane.ts";

/** A thread that has its sockets by whatever engine it is told to. */
export interface Opening {
  /** Rejects when that cannot be had; may be called again, for another. */
  open(io: EngineName): Promise<void>;
}

/**
 * Has all threads have their sockets by one engine, the first from `wanted` on that works in each of them: what one has another
 * must be able to take. Gives which, and why not those before.
 */
export async function openEngines(threads: readonly Opening[], wanted: EngineName): Promise<IoInfo> {
  const obstacles: string[] = [];
  for (let from: EngineName | undefined = wanted; from;) {
    const { name, why } = await tryEngine(from);
    if (why !== undefined) obstacles.push(why);
    const opened = await Promise.allSettled(threads.map((thread) => thread.open(name)));
    const refused = opened.find((result) => result.status === "rejected");
    if (!refused) return { name, ...(obstacles.length > 0 && { why: obstacles.join("; ") }) };
    obstacles.push(reasonOf(refused.reason));
    from = ENGINES[ENGINES.indexOf(name) + 1];
  }
  throw new Error(obstacles.join("; ")); // Deno's own is always there
}

/** Which one works here, without threads: most that cannot be had are found out so. */
async function tryEngine(wanted: EngineName): Promise<IoInfo> {
  const { engine, ...more } = openEngine(wanted);
  await engine.close();
  return { name: engine.name, ...more };
}
