import { type Flow, flowIn, NOBODY, type Sink } from "./flow.ts";
import type { Link } from "./link.ts";
import { ReadBuffer } from "./read_buffer.ts";
import { LARGEST_READ } from "./relay.ts";
import { turn } from "./turn.ts";

/** The most bytes that are held for a link. */
const LARGEST_WRITE = 64 * 1024;

/** A link of promises as a flow, which owns it: it reads ahead of its sink by one read, and holds one write for the link. */
export class PumpedFlow implements Flow {
  sink: Sink = NOBODY;
  readonly #link: Link;
  #buffer = new ReadBuffer(LARGEST_READ);
  #most = LARGEST_READ;
  #isPaused = true;
  /** It was resumed of late. */
  #isBeingRead = false;
  #isPumping = false;
  #isClosed = false;
  /** Settles what waits for `resume`. */
  #go: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  /** Bytes of that. */
  #underWay = 0;
  /** Nothing more will be written; the link is not told yet. */
  #isWriteClosed = false;
  #isEnding = false;
  /** A write was refused while another was under way. */
  #isBlocked = false;
  /** Why it broke: an end that comes after that is none. */
  #error: unknown;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Copies what it takes: up to `LARGEST_WRITE`, or nothing while the link has not taken what was before. */
  write(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#error !== undefined) throw this.#error;
    if (bytes.length === 0) return 0;
    const taken = this.#writing ? 0 : Math.min(bytes.length, LARGEST_WRITE);
    if (taken > 0) {
      this.#underWay = taken;
      this.#writing = this.#writeAll(bytes.slice(0, taken));
    }
    this.#isBlocked = taken < bytes.length;
    return taken;
  }

  closeWrite(): void {
    // `writable` is told of the first one, and who hears of that may end the direction again.
    if (this.#isWriteClosed) return;
    this.#isWriteClosed = this.#isEnding = true;
    const before = this.#writing ?? Promise.resolve();
    before.then(() => this.#link.closeWrite()).then(() => {
      this.#isEnding = false;
      this.#tellWritable();
    }).catch((error) => this.#broke(error));
  }

  get isDrained(): boolean {
    return !this.#writing && !this.#isEnding;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(most: number): void {
    this.#isPaused = false;
    this.#isBeingRead = true;
    this.#most = most;
    this.#go?.();
    if (!this.#isPumping) void this.#pump();
  }

  unacknowledged(): number {
    const carrier = this.#link.carriedBy;
    return carrier ? this.#underWay + carrier.unacknowledged() : 0;
  }

  silence(): number {
    return this.#link.carriedBy?.silence() ?? 0;
  }

  close(): void {
    this.#isClosed = true;
    this.#go?.();
    this.#link.close();
  }

  reset(): void {
    this.#link.reset?.();
    this.close();
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    try {
      for (let taken = 0; taken < bytes.length;) {
        taken += await this.#link.write(taken === 0 ? bytes : bytes.subarray(taken));
      }
    } catch (error) {
      return this.#broke(error);
    }
    this.#writing = undefined;
    this.#underWay = 0;
    if (this.#isBlocked) this.#tellWritable();
  }

  /**
   * What was taken is lost, and nobody may be reading: who writes is to find out. But whoever is only between two reads has what
   * came before.
   */
  async #broke(error: unknown): Promise<void> {
    this.#writing = undefined;
    this.#isEnding = false;
    this.#error ??= error;
    do {
      this.#isBeingRead = false;
      await turn();
    } while (this.#isBeingRead);
    this.#tellWritable();
  }

  #tellWritable(): void {
    this.#isBlocked = false;
    if (!this.#isClosed) this.sink.writable();
  }

  /** Reads to the end of the stream. Nothing is told before `resume` has returned. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    try {
      for (;;) {
        const { bytes } = this.#buffer;
        const n = await this.#link.read(bytes.length > this.#most ? bytes.subarray(0, this.#most) : bytes);
        for (let told = 0; told < (n ?? 1);) {
          while (this.#isPaused && !this.#isClosed) await this.#resumed();
          if (this.#isClosed) return;
          if (n === null) return this.#error === undefined ? this.sink.ended() : this.#lose();
          const part = bytes.subarray(told, Math.min(n, told + this.#most));
          told += part.length;
          this.sink.readable(part);
        }
        if (this.#buffer.took(n!)) await turn();
      }
    } catch (error) {
      this.#error ??= error;
      await this.#lose();
    }
  }

  /** Settles when it is resumed or closed, and may be paused again by then. */
  #resumed(): Promise<void> {
    return new Promise((resolve) => this.#go = resolve);
  }

  async #lose(): Promise<void> {
    while (this.#isPaused && !this.#isClosed) await this.#resumed();
    if (!this.#isClosed) this.sink.lost(this.#error);
  }
}

/** A link as a flow, which owns it: its own, where it is made of one. */
export function flowOf(link: Link): Flow {
  return flowIn(link) ?? new PumpedFlow(link);
}
