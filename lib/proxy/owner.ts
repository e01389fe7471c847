import { EPOCH_BITS } from "../config/cluster/id_bits.ts";

/**
 * What the lowest bits of an id tell: whose session it is. From the lowest up: the thread, the slot of the node, and the epoch, which
 * is another one each time that a slot gets a new owner. The rest is a number that comes round.
 */
export interface IdLayout {
  threadBits: number;
  slotBits: number;
  epochBits: number;
  /** How many threads there are, where these are fewer than the bits tell: an id with the number of one that is not there is another's. */
  threads?: number;
}

/** Whose a session is. */
export interface Owner {
  thread: number;
  slot: number;
  epoch: number;
}

/** The layout of one that is alone, with so many threads. */
export function layoutAlone(threads: number): IdLayout {
  return { threadBits: 2 * Math.ceil(Math.log2(threads) / 2), slotBits: 0, epochBits: 0, threads };
}

/** The layout of a cluster, of so many slots and threads: powers of two. */
export function layoutOf({ slots, threads }: { slots: number; threads: number }): IdLayout {
  return { threadBits: Math.log2(threads), slotBits: Math.log2(slots), epochBits: EPOCH_BITS };
}

/** The layout of a process with so many threads, of that cluster, or alone. */
export function layoutFor(cluster: { slots: number; threads: number } | undefined, threads: number): IdLayout {
  return cluster ? { ...layoutOf(cluster), threads } : layoutAlone(threads);
}

/** How many bits of an id tell it. */
export function ownerBits({ threadBits, slotBits, epochBits }: IdLayout): number {
  return threadBits + slotBits + epochBits;
}

/** Whose session that is. */
export function ownerOf(id: number, { threadBits, slotBits, epochBits, threads = 2 ** threadBits }: IdLayout): Owner {
  const above = Math.floor(id / 2 ** threadBits);
  return {
    thread: id % 2 ** threadBits % threads,
    slot: above % 2 ** slotBits,
    epoch: Math.floor(above / 2 ** slotBits) % 2 ** epochBits,
  };
}

/** What the lowest bits of the ids of an owner are. Of the epoch, which may count on for ever, its own bits. */
export function bitsOf({ thread, slot, epoch }: Owner, { threadBits, slotBits, epochBits }: IdLayout): number {
  return ((epoch % 2 ** epochBits) * 2 ** slotBits + slot) * 2 ** threadBits + thread;
}
