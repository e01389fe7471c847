import { type Link, writeAll } from "./link.ts";
import { ReadBuffer } from "./read_buffer.ts";
import { turn } from "./turn.ts";

/** The largest read, in bytes. */
export const LARGEST_READ = 64 * 1024;

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

/**
 * Copies bytes both ways until both ends have ended, or one breaks; then both links are closed. Never rejects. What was under way
 * when one breaks is lost.
 */
export async function joinLinks(one: Link, other: Link): Promise<void> {
  const copy = async (from: Link, to: Link) => {
    await pump(from, (bytes) => writeAll(to, bytes));
    await to.closeWrite();
  };
  const closeBoth = () => {
    one.close();
    other.close();
  };
  await Promise.all([copy(one, other).catch(closeBoth), copy(other, one).catch(closeBoth)]);
  closeBoth();
}
