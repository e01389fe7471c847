/** Characters, from one that is multiplied by a coefficient to the next that is multiplied by the same. */
const PERIOD = 64;
/** By chance, so that nobody knows which keys are hashed alike. */
const COEFFICIENTS = crypto.getRandomValues(new Int32Array(2 * PERIOD));

/**
 * 32 bits of a text: multilinear hashing (Carter and Wegman, Lemire and Kaser), so that of two that somebody chose, with as many
 * characters, 64 at the most, these are the same once in 2^32 times. It is of this thread: another one hashes in another way.
 */
export function hashOf(key: string): number {
  let [high, low] = [0, 0];
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    const at = 2 * (i % PERIOD);
    high = (high + Math.imul(COEFFICIENTS[at]!, code)) | 0;
    low = (low + Math.imul(COEFFICIENTS[at + 1]!, code)) | 0;
  }
  // Of each sum only the upper half is by chance; and any bits of both are to do for a table.
  const both = (high & 0xffff0000) | (low >>> 16);
  const mixed = Math.imul(both ^ (both >>> 16), 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}
