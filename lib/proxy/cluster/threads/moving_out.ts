import { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import type { Proxy } from "../../proxy.ts";
import type { Moved } from "../../session/move/moved.ts";
import type { Packed } from "../../session/move/packed.ts";

/**
 * Sessions at most that stand still together, and bytes that they have in hands: on its way each meets several threads, whose turns are
 * for all of them at once.
 */
const MOST = 16;
const MOST_BYTES = 1024 * 1024;

/** Sessions of a thread on their way to another process: some pieces at a time, of each of which is told what came of it before the next. */
export class MovingOut {
  readonly #proxy: Pick<Proxy, "moveOut" | "moveIn">;
  #pieces: AsyncGenerator<Packed, void, void> | undefined;
  #last: Packed[] = [];

  constructor(proxy: Pick<Proxy, "moveOut" | "moveIn">) {
    this.#proxy = proxy;
  }

  /** The next pieces, whose descriptors stay this one's; none: there is none left. See `SessionTable.moveOut`. */
  async next(): Promise<Pick<Packed, "data" | "descriptors">[]> {
    this.#pieces ??= this.#proxy.moveOut();
    this.#last = [];
    for (let bytes = 0; this.#last.length < MOST && bytes < MOST_BYTES;) {
      const { value } = await this.#pieces.next();
      if (!value) break;
      this.#last.push(value);
      bytes += bytesOf(value.data);
    }
    return this.#last.map(({ data, descriptors }) => ({ data, descriptors }));
  }

  /** The other process has that one of the pieces. */
  over(index: number): void {
    const { descriptors, done } = this.#last[index]!;
    new Descriptors(descriptors)[Symbol.dispose]();
    done();
  }

  /** The other process does not have that one: the session goes on here. */
  back(index: number): void {
    const { data, descriptors, done } = this.#last[index]!;
    this.#proxy.moveIn(data, descriptors);
    done();
  }

  /** No other piece is wanted: sessions begin again. */
  async end(): Promise<void> {
    await this.#pieces?.return();
    this.#pieces = undefined;
  }
}

/** Of those that may be many. */
function bytesOf(moved: Moved): number {
  if (!("snapshot" in moved)) return 0;
  const { session, toClient } = moved.snapshot;
  const held = "cache" in session
    ? session.cache.length
    : session.outgoing.frames.length + session.incoming.waiting.length;
  return held + toClient.length;
}
