import { within } from "../within.ts";

/** Bytes that wait to be written, at the most. */
const LIMIT = 2 ** 20;
/** Bytes of one write, unless one line is longer: Linux writes so many to a pipe as a whole, so that lines of threads do not mix. */
const BATCH = 4096;
/** Milliseconds until a file that would block is tried again. */
const PAUSE = 250;

const encoder = new TextEncoder();

const NOTHING = { read: 0, written: 0 };

/** Lines that go out together: the first `size` bytes. */
interface Batch {
  bytes: Uint8Array<ArrayBuffer>;
  size: number;
  lines: number;
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
    // After one that was dropped, even one that fits waits for the line that tells of it.
    if (this.#untold > 0 || !this.#add(line, LIMIT - this.#size)) {
      this.#untold++;
      this.#dropped++;
    }
    this.#writing ??= this.#writeAll();
  }

  /** Settles when all is written, or `ms` milliseconds are over. */
  async flush(ms: number): Promise<void> {
    await within(ms, this.#writing);
  }

  /** Puts a line into the last batch, or another; false: it is longer than `room` bytes, and nothing has changed. */
  #add(line: string, room: number): boolean {
    const last = this.#batches.at(-1);
    const added = last ? encoder.encodeInto(line, last.bytes.subarray(last.size)) : NOTHING;
    const isNew = added.read < line.length;
    const batch = isNew ? batchOf(line) : last!;
    const size = isNew ? batch.size : added.written;
    if (size > room) return false;
    if (isNew) this.#batches.push(batch);
    else batch.size += size;
    batch.lines++;
    this.#size += size;
    return true;
  }

  async #writeAll(): Promise<void> {
    for (;;) {
      if (this.#untold > 0) this.#add(this.#options.tellDropped(this.#untold), Infinity);
      this.#untold = 0;
      const batch = this.#batches.shift();
      if (!batch) break;
      await this.#write(batch);
      this.#size -= batch.size;
    }
    this.#writing = undefined;
  }

  async #write(batch: Batch): Promise<void> {
    let rest = batch.bytes.subarray(0, batch.size);
    while (rest.length > 0) {
      try {
        rest = rest.subarray(await this.#options.write(rest));
      } catch (error) {
        // Nobody can be told of it: there is no other place.
        if (!(error instanceof Deno.errors.WouldBlock)) return void (this.#dropped += batch.lines);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }
}

/** A batch that begins with that line, which is not counted. */
function batchOf(line: string): Batch {
  const bytes = new Uint8Array(BATCH);
  const { read, written } = encoder.encodeInto(line, bytes);
  if (read === line.length) return { bytes, size: written, lines: 0 };
  const whole = encoder.encode(line);
  return { bytes: whole, size: whole.length, lines: 0 };
}
