import { Buffer } from "node:buffer";
import { within } from "../within.ts";

/** Bytes that wait to be written, at the most. */
const LIMIT = 2 ** 20;
/** Bytes of one write, unless one line is longer: Linux writes so many to a pipe as a whole, so that lines of threads do not mix. */
const BATCH = 4096;
/** Milliseconds until a file that would block is tried again. */
const PAUSE = 250;

const encoder = new TextEncoder();

/** Lines that go out together. */
interface Batch {
  lines: Uint8Array[];
  size: number;
}

export interface LineQueueOptions {
  /** Writes some of the bytes, and gives how many. It is called again when it has settled, not before. */
  write: (bytes: Uint8Array) => Promise<number>;
  /** The line, with its newline, that stands where `count` lines were dropped. */
  tellDropped: (count: number) => string;
}

/**
 * Lines on their way to where they are written, in their order. Who has a line never waits: while the reader takes nothing, up to
 * 1 MiB waits, and what is more is dropped. When there is room again, a line at that place says how many were.
 */
export class LineQueue {
  readonly #options: LineQueueOptions;
  readonly #batches: Batch[] = [];
  /** Bytes that wait, those of the write under way included. */
  #size = 0;
  #dropped = 0;
  /** Of these, those of which no line has told yet. */
  #untold = 0;
  #writing: Promise<void> | undefined;

  constructor(options: LineQueueOptions) {
    this.#options = options;
  }

  /** How many lines were dropped so far, those that could not be written included. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line, with its newline. */
  push(line: string): void {
    const bytes = encoder.encode(line);
    // After one that was dropped, even one that fits waits for the line that tells of it.
    if (this.#untold > 0 || this.#size + bytes.length > LIMIT) {
      this.#untold++;
      this.#dropped++;
    } else {
      this.#add(bytes);
    }
    this.#writing ??= this.#writeAll();
  }

  /** Settles when all is written, or `ms` milliseconds are over. */
  async flush(ms: number): Promise<void> {
    await within(ms, this.#writing);
  }

  #add(bytes: Uint8Array): void {
    let last = this.#batches.at(-1);
    if (!last || last.size + bytes.length > BATCH) this.#batches.push(last = { lines: [], size: 0 });
    last.lines.push(bytes);
    last.size += bytes.length;
    this.#size += bytes.length;
  }

  async #writeAll(): Promise<void> {
    for (;;) {
      if (this.#untold > 0) this.#add(encoder.encode(this.#options.tellDropped(this.#untold)));
      this.#untold = 0;
      const batch = this.#batches.shift();
      if (!batch) break;
      await this.#write(batch);
      this.#size -= batch.size;
    }
    this.#writing = undefined;
  }

  async #write(batch: Batch): Promise<void> {
    let rest: Uint8Array = Buffer.concat(batch.lines);
    while (rest.length > 0) {
      try {
        rest = rest.subarray(await this.#options.write(rest));
      } catch (error) {
        // Nobody can be told of it: there is no other place.
        if (!(error instanceof Deno.errors.WouldBlock)) return void (this.#dropped += batch.lines.length);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }
}
