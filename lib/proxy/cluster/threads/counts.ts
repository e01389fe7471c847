import type { Visitors, VisitorSnapshot } from "../../front/visitors.ts";
import type { HostSlots } from "../../host_slots.ts";
import { CACHE_UNIT, nowOfThreads, type SharedState } from "../../shared_state.ts";
import type { Gauges, Snapshot } from "../../data_plane.ts";
import { ShapeError } from "../../session/move/shape.ts";
import { Histogram, Stats, type StatsValues } from "../../stats.ts";
import { addHostSnapshot, type HostSnapshot, hostSnapshot } from "../../upstream/host_state.ts";
import { addUp } from "./add_up.ts";

/** The form of `MovedCounts`: another number is another form. */
const FORMAT = 1;

/** What a process has counted until now. */
export interface Counts {
  stats: StatsValues;
  /** Of what `Gauges` has, those that only grow. */
  gauges: Pick<Gauges, "cachesReleased" | "cachesShrunk" | "logDropped"> & { kcp: { tooLong: number; unsent: number } };
}

/** What a process has counted, and what limits and the choice of a host go by, as plain data, for the one that goes on in its place. */
export interface MovedCounts extends Counts {
  format: typeof FORMAT;
  kind: "counts";
  cacheHighWater: number;
  visitors: VisitorSnapshot[];
  /** By what names the host: see `keyOf`. */
  hosts: [key: string, host: HostSnapshot][];
}

export interface LedgerOptions {
  visitors: Visitors;
  shared: SharedState;
  hostSlots: HostSlots;
}

/** Nothing. */
export function newCounts(): Counts {
  const gauges = { cachesReleased: 0, cachesShrunk: 0, logDropped: 0, kcp: { tooLong: 0, unsent: 0 } };
  return { stats: { ...new Stats() }, gauges };
}

/** Whether that is such counts. Throws `ShapeError` when they are of another format. */
export function isMovedCounts(data: unknown): data is MovedCounts {
  const { kind, format } = (typeof data === "object" && data || {}) as Partial<MovedCounts>;
  if (kind !== "counts") return false;
  if (format !== FORMAT) {
    throw new ShapeError(`the format of counts is ${String(format)}, where only ${FORMAT} is known`);
  }
  return true;
}

/**
 * The two together. What of `came`, which another release may have counted, this one does not know or would count otherwise is left out.
 */
export function withCame(own: Counts, came: MovedCounts): Counts {
  const { stats, gauges } = newCounts();
  return addUp(own, { stats: known(stats, came.stats), gauges: known(gauges, came.gauges) });
}

/** What a pool of threads has counted with the processes before it, and what limits and the choice of a host go by. */
export class Ledger {
  /** What the processes have counted in whose place this one goes on. */
  before: Counts = newCounts();
  readonly #options: LedgerOptions;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** For the process that goes on from here. `snapshot`: of the pool, with what was before. */
  moved({ stats, gauges }: Snapshot): MovedCounts {
    const { visitors, shared, hostSlots } = this.#options;
    const { cachesReleased, cachesShrunk, cacheHighWater, logDropped, kcp: { tooLong, unsent } } = gauges;
    const now = nowOfThreads();
    return {
      ...{ format: FORMAT, kind: "counts", stats, cacheHighWater, visitors: visitors.snapshot() },
      gauges: { cachesReleased, cachesShrunk, logDropped, kcp: { tooLong, unsent } },
      hosts: [...hostSlots.slots].map(([key, slot]) => [key, hostSnapshot(shared.host(slot), now)]),
    };
  }

  goOnFrom(came: MovedCounts): void {
    const { visitors, shared, hostSlots: { slots } } = this.#options;
    this.before = withCame(this.before, came);
    visitors.restore(came.visitors);
    const highWater = Math.floor(came.cacheHighWater / CACHE_UNIT);
    shared.cacheHighWater.set(Math.max(shared.cacheHighWater.value, highWater));
    for (const [key, host] of came.hosts) {
      const slot = slots.get(key);
      if (slot !== undefined) addHostSnapshot(shared.host(slot), host, nowOfThreads());
    }
  }
}

/** What of `came` has the shape of `form`, where that has it; what `form` has, elsewhere. */
function known<T>(form: T, came: unknown): T {
  if (typeof form === "number") return (isAmount(came) ? came : form) as T;
  if (typeof came !== "object" || came === null) return form;
  const fields = came as Record<string, unknown>;
  if (form instanceof Histogram) return (isLike(form, fields) ? { ...fields } : form) as T;
  const own = Object.entries(form as Record<string, unknown>);
  // By code, of which none has been counted yet.
  if (own.length === 0) return Object.fromEntries(Object.entries(fields).filter(([, value]) => isAmount(value))) as T;
  return Object.fromEntries(own.map(([key, value]) => [key, known(value, fields[key])])) as T;
}

function isLike({ bounds, counts }: Histogram, came: Record<string, unknown>): boolean {
  return String(came.bounds) === String(bounds) && isAmount(came.sum) && Array.isArray(came.counts) &&
    came.counts.length === counts.length && came.counts.every(isAmount);
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
