import { Condition } from "../../link/condition.ts";
import { type Clock, systemClock, TokenBucket } from "../flaky/token_bucket.ts";

/** Holds bytes to a rate that can be changed at any time, also while some wait. All that pass share the rate. */
export class Throttle {
  readonly #clock: Clock;
  readonly #changed = new Condition();
  #rate = Infinity;
  /** Missing where nothing is counted: all may pass, or nothing. */
  #bucket: TokenBucket | undefined;
  #passed = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Bytes a second. `Infinity`, as at first: all pass at once; 0: none does, until that is changed. */
  get rate(): number {
    return this.#rate;
  }

  set rate(rate: number) {
    if (rate === this.#rate) return;
    this.#rate = rate;
    this.#bucket = rate > 0 && rate < Infinity ? new TokenBucket(rate, this.#clock) : undefined;
    this.#changed.notify();
  }

  /** Bytes that have passed, ever. */
  get passed(): number {
    return this.#passed;
  }

  /** Waits until some of the next `count` bytes may pass: how many. */
  async pass(count: number): Promise<number> {
    for (;;) {
      await this.opened();
      const bucket = this.#bucket;
      const granted = Math.min(count, bucket?.burst ?? count);
      if (bucket && !await this.#pause(bucket, bucket.take(granted))) continue;
      this.#passed += granted;
      return granted;
    }
  }

  /** Waits until the rate is more than 0. */
  async opened(): Promise<void> {
    while (this.#rate === 0) await this.#changed.wait();
  }

  /** Whether the time went by, and the rate did not change before. */
  async #pause(bucket: TokenBucket, ms: number): Promise<boolean> {
    if (ms <= 0) return true;
    let over = false;
    const cancel = this.#clock.after(ms, () => {
      over = true;
      this.#changed.notify();
    });
    while (!over && this.#bucket === bucket) await this.#changed.wait();
    cancel();
    return over;
  }
}
