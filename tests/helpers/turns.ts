import { setImmediate } from "node:timers";

/** One turn of the event loop: all that is ready has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
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
