import { setImmediate } from "node:timers";
import type { Link } from "./link.ts";
import { ReadBuffer } from "./read_buffer.ts";

/** The largest read, in bytes. */
const LARGEST_READ = 64 * 1024;

/**
 * Reads from `source` to its end and gives each read to `sink`, which may overwrite it, and has it until it settles.
 * `most`: the largest read, in bytes. Rejects when the source breaks or the sink does.
 */
export async function pump(
  source: Pick<Link, "read">,
  sink: (bytes: Uint8Array) => Promise<unknown>,
  most = LARGEST_READ,
): Promise<void> {
  const buffer = new ReadBuffer(Math.min(most, LARGEST_READ));
  for (;;) {
    const n = await source.read(buffer.bytes);
    if (n === null) return;
    await sink(buffer.bytes.subarray(0, n));
    if (buffer.took(n)) await turn();
  }
}

/** Lets whatever else is ready have its turn: ready reads would go on within one turn of the event loop for long. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
