import { addMultiple, invert, multiply } from "./galois.ts";

/** Rows over GF(2^8). */
export type Matrix = Uint8Array[];

/** The matrix whose entry at each row and column is what `entry` gives. */
export function matrixOf(rows: number, columns: number, entry: (row: number, column: number) => number): Matrix {
  return Array.from(
    { length: rows },
    (_, row) => Uint8Array.from({ length: columns }, (_, column) => entry(row, column)),
  );
}

/** `left` times `right`, which has as many rows as `left` has columns. */
export function product(left: Matrix, right: Matrix): Matrix {
  return left.map((factors) => {
    const row = new Uint8Array(right[0]!.length);
    factors.forEach((factor, i) => addMultiple(row, right[i]!, factor));
    return row;
  });
}

/**
 * The inverse of a square matrix, each of whose leading squares has one too, as those of Vandermonde's matrix and of parity
 * do: Gauss and Jordan's elimination beside a unit matrix, where no rows need change places.
 */
export function inverse(matrix: Matrix): Matrix {
  const size = matrix.length;
  const rows = matrixOf(size, 2 * size, (r, c) => c < size ? matrix[r]![c]! : Number(c - size === r));
  rows.forEach((row, column) => {
    scale(row, invert(row[column]!));
    for (const other of rows) if (other !== row) addMultiple(other, row, other[column]!);
  });
  return rows.map((row) => row.subarray(size));
}

function scale(row: Uint8Array, factor: number): void {
  for (let i = 0; i < row.length; i++) row[i] = multiply(row[i]!, factor);
}
