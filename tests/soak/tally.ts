import { type Transport, TRANSPORTS } from "./transports.ts";

/** The ways in which connections are broken. */
export const FAULTS = ["closed", "reset", "abandoned", "mid-handshake", "mid-resume"] as const;
export type FaultKind = (typeof FAULTS)[number];

/** What was done in a run, and what was seen of it. */
export class Tally {
  /** Bytes that a client checked; those of the other way are the backend's to count. */
  down = 0;
  readonly faults = Object.fromEntries(FAULTS.map((kind) => [kind, 0])) as Record<FaultKind, number>;
  /** Sessions, and resumes as clients saw them, by the version of the protocol. */
  readonly opened = { 1: 0, 2: 0 };
  readonly resumes = { 1: 0, 2: 0 };
  /** Sessions, by how their clients came. */
  readonly transports = Object.fromEntries(TRANSPORTS.map((each) => [each, 0])) as Record<Transport, number>;
  /** Sessions of version 2 that came to their end in order, both directions after each other. */
  orderly = 0;
  deleted = 0;
  /** Clients that were told to move, and did come over another connection. */
  moved = 0;
  reloads = 0;
  upgrades = 0;
  /** for how many milliseconds sessions stood still, of each the most of all upgrades. */
  readonly standStill = { p50: 0, p99: 0, longest: 0 };
  adminCalls = 0;

  /** All faults together. */
  get faultCount(): number {
    return Object.values(this.faults).reduce((sum, n) => sum + n, 0);
  }
}
