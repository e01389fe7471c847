/** For how many milliseconds sessions stood still, when they went over: half of them for no longer, 99 of 100 for no longer, and any one. */
export interface StandStill {
  p50: number;
  p99: number;
  longest: number;
}

/** An upgrade that was done; durations in milliseconds. */
export interface DoneUpgrade {
  /** When all had gone over, since 1970. */
  at: number;
  took: number;
  /** How many went over. */
  sessions: number;
  standStill: StandStill;
}

/** What came of the attempts to upgrade, in all processes one after another. */
export interface UpgradeRecord {
  done: number;
  failed: number;
  /** Missing: none was done. */
  last?: DoneUpgrade;
}

/** None was made. */
export const NO_UPGRADES: UpgradeRecord = { done: 0, failed: 0 };
