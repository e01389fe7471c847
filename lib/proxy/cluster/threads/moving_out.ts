import { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import type { Proxy } from "../../proxy.ts";
import type { Packed } from "../../session/move/packed.ts";

/** What goes to another process, by a number of its own: its descriptors stay this thread's. */
export interface Piece extends Pick<Packed, "data" | "descriptors"> {
  number: number;
}

/** Sessions of a thread on their way to another process: of each piece is told what came of it. */
export class MovingOut {
  readonly #proxy: Pick<Proxy, "moveOut" | "moveIn">;
  #pieces: AsyncGenerator<Packed | undefined, void, void> | undefined;
  /** Sessions of which nothing was told yet. */
  readonly #given = new Map<number, Packed>();
  #count = 0;

  constructor(proxy: Pick<Proxy, "moveOut" | "moveIn">) {
    this.#proxy = proxy;
  }

  /** The next pieces, so many at the most; none: one of the two parts has come to its end. See `SessionTable.moveOut`. */
  async next(most: number): Promise<Piece[]> {
    this.#pieces ??= this.#proxy.moveOut();
    const next: Piece[] = [];
    while (next.length < most) {
      const { value } = await this.#pieces.next();
      if (!value) break;
      const number = this.#count++;
      if ("snapshot" in value.data) this.#given.set(number, value);
      next.push({ number, data: value.data, descriptors: value.descriptors });
    }
    return next;
  }

  /** The other process has that piece. */
  over(number: number): void {
    const piece = this.#take(number);
    new Descriptors(piece?.descriptors)[Symbol.dispose]();
    piece?.done();
  }

  /** The other process does not have the session: it goes on here. */
  back(number: number): void {
    const piece = this.#take(number);
    if (piece) this.#proxy.moveIn(piece.data, piece.descriptors);
    piece?.done();
  }

  /** No other piece is wanted: sessions begin again, and those of which nothing was told go on here. */
  async end(): Promise<void> {
    await this.#pieces?.return();
    this.#pieces = undefined;
    for (const number of [...this.#given.keys()]) this.back(number);
  }

  /** `undefined`: it was told of. */
  #take(number: number): Packed | undefined {
    const piece = this.#given.get(number);
    this.#given.delete(number);
    return piece;
  }
}
