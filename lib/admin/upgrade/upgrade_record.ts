/** An upgrade that was done; durations in milliseconds. */
export interface DoneUpgrade {
  /** When all had gone over, since 1970. */
  at: number;
  took: number;
  /** How many went over, and for how long one of them stood still at the most. */
  sessions: number;
  longestStandStill: number;
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
