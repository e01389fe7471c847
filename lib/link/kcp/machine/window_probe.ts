const FIRST = 7_000;
const MOST = 120_000;

/** As plain data. */
export interface WindowProbeSnapshot {
  wait: number;
  /** Milliseconds until it asks; missing: there is room. */
  left: number | undefined;
}

/** When to ask a peer that has no room whether it has some now: what told so may have been lost. In milliseconds of the clock. */
export class WindowProbe {
  #wait = 0;
  /** When to ask; Infinity: there is room. */
  at = Infinity;

  snapshotAt(now: number): WindowProbeSnapshot {
    return { wait: this.#wait, left: this.at === Infinity ? undefined : this.at - now };
  }

  /** Is from now on as that one was. */
  goOnFrom({ wait, left }: WindowProbeSnapshot, now: number): void {
    this.#wait = wait;
    this.at = left === undefined ? Infinity : now + left;
  }

  /** The peer told its window. */
  onWindow(window: number, now: number): void {
    if (window > 0) this.at = Infinity;
    else if (this.at === Infinity) this.#waitFor(FIRST, now);
  }

  /** It is to be asked now, whatever it told. */
  ask(now: number): void {
    this.#waitFor(FIRST, now);
    this.at = now;
  }

  /** Whether to ask now; then the next time is later by half. */
  isDue(now: number): boolean {
    if (now < this.at) return false;
    this.#waitFor(Math.min(this.#wait * 1.5, MOST), now);
    return true;
  }

  #waitFor(ms: number, now: number): void {
    this.#wait = ms;
    this.at = now + ms;
  }
}
