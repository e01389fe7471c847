/** How many of the lowest bits of an id are its owner's epoch: so many of a slot can be told from one another. */
export const EPOCH_BITS = 2;
export const EPOCHS = 2 ** EPOCH_BITS;

/** The most bits that may tell whose an id is: more would leave a thread too few ids. */
const MOST_OWNER_BITS = 14;

/** Of an id. */
const ALL_BITS = 32;

/** What slots and threads multiply to at the most. */
export const MOST_THREADS = 2 ** (MOST_OWNER_BITS - EPOCH_BITS);

/** How many sessions a thread can tell from one another, in a cluster of so many slots and threads: powers of two. */
export function idsOfThread({ slots, threads }: { slots: number; threads: number }): number {
  return 2 ** (ALL_BITS - EPOCH_BITS) / (slots * threads);
}
