import { setImmediate } from "node:timers";

/** One turn of the event loop: all that is ready has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Turns in which whatever is to come has come, and more: a thread that sleeps takes many to wake up. */
const ENOUGH = 200_000;

/** Waits until it is so; after very many turns it fails with what is wrong. */
export async function until(condition: () => boolean, otherwise: () => string): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns === ENOUGH) throw new Error(otherwise());
    await turn();
  }
}

/** Waits until a number has not changed for so many turns of the event loop: whoever makes it is held up. */
export async function stalled(read: () => number, turns = 500): Promise<void> {
  for (let before = NaN, same = 0; same < turns;) {
    const now = read();
    same = now === before ? same + 1 : 0;
    before = now;
    await turn();
  }
}

/** Whether the promise is settled once all that is ready has run. */
export async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  return await Promise.race([promise.then(() => true, () => true), turn().then(() => pending)]) !== pending;
}
