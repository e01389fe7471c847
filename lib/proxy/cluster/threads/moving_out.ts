import { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import type { Proxy } from "../../proxy.ts";
import type { Packed } from "../../session/move/packed.ts";

/** Sessions of a thread on their way to another process: one piece at a time, of each of which is told what came of it before the next. */
export class MovingOut {
  readonly #proxy: Pick<Proxy, "moveOut" | "moveIn">;
  #pieces: AsyncGenerator<Packed | undefined, void, void> | undefined;
  #last: Packed | undefined;

  constructor(proxy: Pick<Proxy, "moveOut" | "moveIn">) {
    this.#proxy = proxy;
  }

  /** The next piece, whose descriptors stay this one's; `undefined`, twice: there is none left. See `SessionTable.moveOut`. */
  async next(): Promise<Pick<Packed, "data" | "descriptors"> | undefined> {
    this.#pieces ??= this.#proxy.moveOut();
    const { value } = await this.#pieces.next();
    this.#last = value ?? undefined;
    return this.#last && { data: this.#last.data, descriptors: this.#last.descriptors };
  }

  /** The other process has the piece. */
  over(): void {
    new Descriptors(this.#last!.descriptors)[Symbol.dispose]();
    this.#last!.done();
  }

  /** The other process does not have the session: it goes on here. */
  back(): void {
    const { data, descriptors, done } = this.#last!;
    this.#proxy.moveIn(data, descriptors);
    done();
  }

  /** No other piece is wanted: sessions begin again. */
  async end(): Promise<void> {
    await this.#pieces?.return();
    this.#pieces = undefined;
  }
}
