import { Condition } from "../../link/condition.ts";
import { LINGER, type Link } from "../../link/link.ts";
import { Lane, type Passage, type Way } from "./lane.ts";

/** A link that can also be broken off so that the other end sees a reset. */
export interface ResettableLink extends Link {
  /** As `close`, by a reset. May be called again. */
  reset(): void;
}

/** What will become of one connection. */
export interface Fate extends Way {
  /** Milliseconds until it is cut. */
  cutAfter: number | undefined;
  /** Bytes, both ways together, after which it is cut: just so many are carried. */
  cutAfterBytes: number | undefined;
  /** Cuts are resets. */
  rst: boolean;
  /** Milliseconds for which nothing is carried before a cut. */
  stall: number;
  /** Called when it is cut: after how many bytes. */
  onCut: (bytes: number) => void;
}

/**
 * One relayed connection. A cut ends both directions of both links, and what was under way is dropped; the links are
 * closed when the other ends have ended too, or after `LINGER`: a close with bytes unread would be a reset. Where a cut
 * shall be a reset it is one, at once. When a link breaks by itself, or cannot be opened, the other one is reset.
 */
export class Pair implements Passage {
  readonly changed = new Condition();
  readonly #near: ResettableLink;
  readonly #far: ResettableLink;
  readonly #fate: Fate;
  readonly #timers = new Set<() => void>();
  #phase: Passage["phase"] = "carrying";
  #granted = 0;
  #written = 0;

  /** Owns both links. */
  constructor(near: ResettableLink, far: ResettableLink, fate: Fate) {
    this.#near = near;
    this.#far = far;
    this.#fate = fate;
  }

  get phase(): Passage["phase"] {
    return this.#phase;
  }

  claim(count: number): number {
    const granted = Math.min(count, (this.#fate.cutAfterBytes ?? Infinity) - this.#granted);
    this.#granted += granted;
    return granted;
  }

  carried(count: number): void {
    this.#written += count;
    if (this.#written === this.#fate.cutAfterBytes) this.#stall();
  }

  /** Carries until the connection is over. Never rejects. */
  async run(): Promise<void> {
    const [near, far, fate] = [this.#near, this.#far, this.#fate];
    if (fate.cutAfter !== undefined) this.#later(fate.cutAfter, () => this.#stall());
    const tasks = [...new Lane(near, far, this, fate).run(), ...new Lane(far, near, this, fate).run()];
    await Promise.all(tasks.map((task) => task.catch(() => this.#broke())));
    for (const cancel of this.#timers) cancel();
    this.stop();
  }

  /** Closes both links at once. */
  stop(): void {
    this.#enter("cut");
    this.#near.close();
    this.#far.close();
  }

  #stall(): void {
    if (this.#phase !== "carrying") return;
    this.#enter("stalled");
    if (this.#fate.stall > 0) this.#later(this.#fate.stall, () => this.#cut());
    else this.#cut();
  }

  #cut(): void {
    this.#fate.onCut(this.#written);
    this.#enter("cut");
    if (this.#fate.rst) this.#reset();
    else this.#later(LINGER, () => this.stop());
  }

  /** What breaks after the cut is no news: the other link comes to its own end. */
  #broke(): void {
    if (this.#phase === "cut") return;
    this.#enter("cut");
    this.#reset();
  }

  #reset(): void {
    this.#near.reset();
    this.#far.reset();
  }

  #enter(phase: Passage["phase"]): void {
    this.#phase = phase;
    this.changed.notify();
  }

  #later(ms: number, then: () => void): void {
    this.#timers.add(this.#fate.clock.after(ms, then));
  }
}
