import type { Log } from "../log.ts";
import type { UpstreamSeams } from "./reach.ts";
import { Stats } from "./stats.ts";

/** What a proxy needs of the world. */
export interface Seams extends UpstreamSeams {
  /** 64 bits from a cryptographic generator. */
  randomU64: () => bigint;
}

/** The world as it is. */
export function systemSeams(log: Log): Seams {
  return {
    log,
    stats: new Stats(),
    now: () => performance.now(),
    random: Math.random,
    randomU64: () => crypto.getRandomValues(new BigUint64Array(1))[0]!,
  };
}
