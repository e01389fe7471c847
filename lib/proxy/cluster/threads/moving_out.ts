import { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import type { Proxy } from "../../proxy.ts";
import type { Packed } from "../../session/move/packed.ts";

/** Sessions of a thread on their way to another process: some pieces at a time, of each of which is told what came of it before the next. */
export class MovingOut {
  readonly #proxy: Pick<Proxy, "moveOut" | "moveLate" | "moveIn">;
  #pieces: AsyncGenerator<Packed[], void, void> | undefined;
  /** Missing: it is known what came of it. */
  #last: (Packed | undefined)[] = [];

  constructor(proxy: Pick<Proxy, "moveOut" | "moveLate" | "moveIn">) {
    this.#proxy = proxy;
  }

  /**
   * The next pieces, whose descriptors stay this one's; none: one of the three parts has come to its end. See `SessionTable.moveOut`, and
   * `moveLate`.
   */
  async next({ isLate = false } = {}): Promise<Pick<Packed, "data" | "descriptors">[]> {
    this.#pieces ??= isLate ? this.#proxy.moveLate() : this.#proxy.moveOut();
    const { value } = await this.#pieces.next();
    const pieces = value ?? [];
    this.#last = [...pieces];
    return pieces.map(({ data, descriptors }) => ({ data, descriptors }));
  }

  /** The other process has that one of the pieces. */
  over(index: number): void {
    const { descriptors, done } = this.#take(index);
    new Descriptors(descriptors)[Symbol.dispose]();
    done();
  }

  /** The other process does not have that one: the session goes on here. */
  back(index: number): void {
    const { data, descriptors, done } = this.#take(index);
    using owned = new Descriptors(descriptors);
    this.#proxy.moveIn(data, descriptors);
    owned.take();
    done();
  }

  /** No other piece is wanted: those that nobody waited for any more go on here. */
  async end(): Promise<void> {
    await this.#pieces?.return();
    this.#pieces = undefined;
    for (const [index, piece] of this.#last.entries()) if (piece && "snapshot" in piece.data) this.back(index);
    this.#last = [];
  }

  #take(index: number): Packed {
    const piece = this.#last[index]!;
    this.#last[index] = undefined;
    return piece;
  }
}
