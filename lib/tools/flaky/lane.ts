import type { Condition } from "../../link/condition.ts";
import { type Link, writeAll } from "../../link/link.ts";
import { type Clock, TokenBucket } from "./token_bucket.ts";

/** The most bytes that are read at once. */
const PIECE = 16 * 1024;
/** The most bytes that are on their way, each way, while there is latency; a piece more can be, while it is read. */
export const MOST_DELAYED = 2 ** 20;

/** What the two ways of a relayed connection share. */
export interface Passage {
  /** `stalled`: nothing is carried, and a cut will follow. `cut`: what was not carried is lost. */
  readonly phase: "carrying" | "stalled" | "cut";
  /** Notified at each change of the phase. */
  readonly changed: Condition;
  /** Grants so many of the next `count` bytes; the others are dropped, as the cut will follow. */
  claim(count: number): number;
  /** Tells that so many bytes that were granted are written. */
  carried(count: number): void;
}

/** How a way is. */
export interface Way {
  /** Milliseconds by which each piece is delayed; pieces do not wait for each other. */
  latency: number;
  /** Bytes a second. */
  rate: number | undefined;
  clock: Clock;
}

/**
 * One way of a relayed connection: what one link brings, in order, into the other; at its end, the end. First the rate
 * holds it up, then the latency, as on a line that is slow and long. When the passage is cut, the end comes at once, and
 * what the one link still brings is dropped.
 */
export class Lane {
  readonly #from: Link;
  readonly #to: Link;
  readonly #passage: Passage;
  readonly #way: Way;
  readonly #bucket: TokenBucket | undefined;
  readonly #room: number;
  /** In the order in which they came; without bytes: the end. */
  readonly #delayed: { bytes?: Uint8Array; due: number }[] = [];
  #size = 0;

  constructor(from: Link, to: Link, passage: Passage, way: Way) {
    this.#from = from;
    this.#to = to;
    this.#passage = passage;
    this.#way = way;
    this.#bucket = way.rate === undefined ? undefined : new TokenBucket(way.rate, way.clock);
    this.#room = way.latency > 0 ? MOST_DELAYED : PIECE;
  }

  /** The two tasks, which settle when the one link has ended, and when the other was told; or reject: that link broke. */
  run(): Promise<void>[] {
    return [this.#take(), this.#give()];
  }

  async #take(): Promise<void> {
    const { changed } = this.#passage;
    const buffer = new Uint8Array(Math.min(PIECE, this.#bucket?.burst ?? PIECE));
    for (;;) {
      while (this.#phase === "stalled" || (this.#phase === "carrying" && this.#size >= this.#room)) {
        await changed.wait();
      }
      const n = await this.#from.read(buffer);
      if (this.#phase === "carrying") await this.#pause(this.#bucket?.take(n ?? 0) ?? 0);
      if (this.#phase === "carrying") this.#delay(n === null ? undefined : buffer.slice(0, n));
      if (n === null) return;
    }
  }

  #delay(bytes: Uint8Array | undefined): void {
    this.#delayed.push({ ...(bytes && { bytes }), due: this.#way.clock.now() + this.#way.latency });
    this.#size += bytes?.length ?? 0;
    this.#passage.changed.notify();
  }

  async #give(): Promise<void> {
    const { changed } = this.#passage;
    for (;;) {
      const next = this.#delayed[0];
      if (this.#phase === "cut") return await this.#to.closeWrite();
      if (this.#phase === "stalled" || !next) {
        await changed.wait();
        continue;
      }
      await this.#pause(next.due - this.#way.clock.now());
      if (this.#phase !== "carrying") continue;
      if (!next.bytes) return await this.#to.closeWrite();
      await this.#write(next.bytes);
      this.#delayed.shift();
      this.#size -= next.bytes.length;
      changed.notify();
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const granted = this.#passage.claim(bytes.length);
    if (granted === 0) return;
    await writeAll(this.#to, bytes.subarray(0, granted));
    this.#passage.carried(granted);
  }

  get #phase(): Passage["phase"] {
    return this.#passage.phase;
  }

  /** Until the time is over, or the passage does not carry any more. */
  async #pause(ms: number): Promise<void> {
    if (ms <= 0) return;
    const { changed } = this.#passage;
    let over = false;
    const cancel = this.#way.clock.after(ms, () => {
      over = true;
      changed.notify();
    });
    while (!over && this.#phase === "carrying") await changed.wait();
    cancel();
  }
}
