/** The ways in which connections are broken. */
export const FAULTS = ["closed", "reset", "abandoned", "mid-handshake", "mid-resume"] as const;
export type FaultKind = (typeof FAULTS)[number];

/** What was done in a run, and what was seen of it. */
export class Tally {
  /** Bytes that a client checked; those of the other way are the backend's to count. */
  down = 0;
  readonly faults = Object.fromEntries(FAULTS.map((kind) => [kind, 0])) as Record<FaultKind, number>;
  opened = 0;
  resumes = 0;
  deleted = 0;
  reloads = 0;
  adminCalls = 0;

  /** All faults together. */
  get faultCount(): number {
    return Object.values(this.faults).reduce((sum, n) => sum + n, 0);
  }
}
