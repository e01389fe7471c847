import type { Engine } from "../link/engine/engine.ts";
import { DenoEngine } from "../link/engine/deno_engine.ts";
import type { Log } from "../log.ts";
import { reservePortOf } from "./front/listener.ts";
import { HostSlots } from "./host_slots.ts";
import type { Seams } from "./seams.ts";
import { layoutAlone } from "./owner.ts";
import { nowOfThreads, SharedState } from "./shared_state.ts";
import { Stats } from "./stats.ts";

/** The world as it is, for a proxy that is alone. The engine stays the caller's; missing: Deno's. */
export function systemSeams(log: Log, engine: Engine = new DenoEngine()): Seams {
  const shared = new SharedState();
  const hostSlots = new HostSlots(shared);
  return {
    log,
    engine,
    stats: new Stats(),
    now: nowOfThreads,
    random: Math.random,
    randomU64: () => crypto.getRandomValues(new BigUint64Array(1))[0]!,
    shared,
    assignSlots: (keys) => hostSlots.assign(keys),
    cluster: {
      layout: layoutAlone(1),
      self: { thread: 0, slot: 0, epoch: 0 },
      owns: ({ thread }) => thread === 0,
      carry: () => Promise.reject(new Error("Cannot carry: there is no other")),
    },
    portOf: reservePortOf,
  };
}
