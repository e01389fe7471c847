import assert from "node:assert/strict";

/** Fails with where the first difference is: a whole difference of long arrays would take minutes to print. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, note = ""): void {
  const at = expected.findIndex((byte, i) => byte !== actual[i]);
  if (at === -1 && actual.length === expected.length) return;
  const where = at === -1 ? expected.length : at;
  assert.fail(
    `${actual.length} bytes, where ${expected.length} were expected; the first difference is at ${where}: ` +
      `${actual.slice(where, where + 8)} for ${expected.slice(where, where + 8)} ${note}`,
  );
}

/** One array of all the chunks. */
export function concat(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
