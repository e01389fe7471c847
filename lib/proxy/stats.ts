import { type KcpStats, newKcpStats } from "../link/kcp/kcp_stats.ts";
import type { Code } from "../scp/mod.ts";

/** What a histogram counted, as plain values. */
export interface HistogramValues {
  /** Upper bounds, ascending; there is one more bucket, for what is above the last. */
  bounds: readonly number[];
  /** Observations in each bucket, not cumulative: one more than bounds. */
  counts: number[];
  sum: number;
}

/** Counts observations by size. */
export class Histogram implements HistogramValues {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bucket = this.bounds.findIndex((bound) => value <= bound);
    this.counts[bucket === -1 ? this.bounds.length : bucket]!++;
    this.sum += value;
  }
}

/** Why a session ended. */
export const END_KINDS = [
  "upstream_closed",
  "upstream_failed",
  "no_upstream",
  "reuse_timeout",
  "not_resumable",
  "unanswered",
  "shutdown",
  "admin",
  "client_closed",
  "client_gave_up",
  "protocol_error",
  "limit",
] as const;
export type EndKind = (typeof END_KINDS)[number];

/** What a connection or a new session was refused for. */
export const REFUSALS = [
  "denied",
  "untrusted_proxy",
  "draining",
  "handshakes",
  "sessions",
  "sessions_per_ip",
  "new_per_second_per_ip",
  "resume_failures_per_ip",
  "cache_bytes",
  "key_derivations",
  "no_node",
  "no_slot",
] as const;
export type Refusal = (typeof REFUSALS)[number];

const zeros = <K extends string>(keys: readonly K[]) =>
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;

/** What has happened since the start, as plain values. */
export type StatsValues = { readonly [K in keyof Stats]: Stats[K] extends Histogram ? HistogramValues : Stats[K] };

/** What has happened since the start: plain counters, which cost nothing to keep; seconds and bytes. */
export class Stats {
  accepts = 0;
  acceptFails = 0;
  /** Connections of clients that are closed. */
  closes = 0;
  /** Handshakes that came to nothing, by the wire's code. */
  readonly handshakeErrors: Partial<Record<Code, number>> = {};
  /** Answers to resumes, by the wire's code. */
  readonly resumes: Partial<Record<Code, number>> = {};
  /** Resumes that were refused although they were authorised. */
  reuseFails = 0;
  sessionsBegun = 0;
  readonly sessionsEnded = zeros(END_KINDS);
  readonly refused = zeros(REFUSALS);
  /** Clients that were given up because no host of their group could be reached. */
  upstreamFails = 0;
  /** Links of version 2 that were given up because no PING was answered, and how often a client of it was told to move. */
  pingTimeouts = 0;
  moves = 0;
  /** Those who came to where peers connect, and are none. */
  peersRefused = 0;
  /** Keys of sessions of version 2 that were derived. */
  keyDerivations = 0;
  readonly kcp: KcpStats = newKcpStats();
  /** Of sessions that have ended. */
  bytesReceived = 0;
  bytesSent = 0;
  readonly gap = new Histogram([0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]);
  readonly resent = new Histogram([0, 1024, 4096, 16384, 65536, 262144, 1048576, 16777216]);
  /** How late the event loop was with a timer. */
  readonly lag = new Histogram([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]);
  readonly handshake = new Histogram([0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 30]);
  readonly dial = new Histogram([0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5]);
}

/** Adds one to the counter of `code`. */
export function countCode(counters: Partial<Record<Code, number>>, code: Code): void {
  counters[code] = (counters[code] ?? 0) + 1;
}
