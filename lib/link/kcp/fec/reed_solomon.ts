import { addMultiple, power } from "./galois.ts";
import { inverse, type Matrix, matrixOf, product } from "./matrix.ts";

/** The most datagrams of a group: the field has no more rows that differ. */
export const MOST_SHARDS = 256;

/**
 * The Reed-Solomon code of kcp-go, over bytes: of every `data` shards it makes `parity` more, and from any `data` of these
 * together it rebuilds the others. Columns of bytes do not depend on each other, and a shard that is shorter counts as if
 * it ended in zeros. Holds no data: one is enough for all that have the same numbers.
 */
export class ReedSolomon {
  readonly data: number;
  readonly parity: number;
  /** By which factors each parity shard is made of the data shards. */
  readonly rows: Matrix;

  /** Throws a `RangeError` for numbers below 1, or for more than `MOST_SHARDS` together. */
  constructor(data: number, parity: number) {
    if (!(data >= 1 && parity >= 1 && data + parity <= MOST_SHARDS)) {
      throw new RangeError(`there is no code of ${data} data and ${parity} parity shards`);
    }
    this.data = data;
    this.parity = parity;
    // Vandermonde's matrix, made such that its top is the unit matrix: the data stay as they are.
    const square = inverse(matrixOf(data, data, power));
    this.rows = product(matrixOf(parity, data, (row, column) => power(data + row, column)), square);
  }

  /** Adds what data shard `index` has to each of the parity shards, which began as zeros and are at least as long. */
  add(index: number, shard: Uint8Array, parity: readonly Uint8Array[]): void {
    this.rows.forEach((row, j) => addMultiple(parity[j]!, shard, row[index]!));
  }

  /**
   * The data shards that are missing, by index, each as long as the longest shard that there is, and the caller's.
   * `shards`: data, then parity, those that there are. Undefined when there are fewer than `data`.
   */
  rebuild(shards: readonly (Uint8Array | undefined)[]): Map<number, Uint8Array> | undefined {
    const missing: number[] = [];
    for (let i = 0; i < this.data; i++) if (!shards[i]) missing.push(i);
    const used: number[] = [];
    for (let j = 0; j < this.parity && used.length < missing.length; j++) if (shards[this.data + j]) used.push(j);
    if (used.length < missing.length) return undefined;
    const length = shards.reduce((longest, shard) => Math.max(longest, shard?.length ?? 0), 0);
    const rests = used.map((j) => this.#rest(shards, j, length));
    const solution = inverse(matrixOf(used.length, used.length, (r, c) => this.rows[used[r]!]![missing[c]!]!));
    return new Map(product(solution, rests).map((shard, i) => [missing[i]!, shard]));
  }

  /** What is left of parity shard `j` when the data that there are are taken out: what the missing ones gave. */
  #rest(shards: readonly (Uint8Array | undefined)[], j: number, length: number): Uint8Array {
    const rest = new Uint8Array(length);
    rest.set(shards[this.data + j]!);
    for (let i = 0; i < this.data; i++) if (shards[i]) addMultiple(rest, shards[i]!, this.rows[j]![i]!);
    return rest;
  }
}
