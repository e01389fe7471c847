/** What machines count, all of a listener in one. In segments. */
export interface Counters {
  in: number;
  /** Those that were sent again as well. */
  out: number;
  /** PUSHes that had come already. */
  repeated: number;
  /** PUSHes that did not fit in the window, and were dropped. */
  outside: number;
  /** Sent again as later ones were acknowledged. */
  fast: number;
  /** Sent again as a later one was acknowledged and nothing new was to be sent. */
  early: number;
  /** Sent again as their time was over: probably lost. */
  timeout: number;
  /** Datagrams that FEC rebuilt. */
  rebuilt: number;
}

export function newCounters(): Counters {
  return { in: 0, out: 0, repeated: 0, outside: 0, fast: 0, early: 0, timeout: 0, rebuilt: 0 };
}
