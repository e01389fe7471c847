import { turn } from "../turns.ts";

/** Turns between two looks: each may ask a process, which has other things to do as well. */
const BETWEEN = 20;

/** Looks again and again until it is so, which may take a while: gives what it is. */
export async function eventually<T>(look: () => Promise<T | undefined | void | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    for (let turns = 0; turns < BETWEEN; turns++) await turn();
  }
}
