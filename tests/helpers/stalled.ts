import { setImmediate } from "node:timers";
/** Waits until a number has not changed for so many turns of the event loop: whoever makes it is held up. */
export async function stalled(read: () => number, turns = 500): Promise<void> {
  for (let before = NaN, same = 0; same < turns;) {
    const now = read();
    same = now === before ? same + 1 : 0;
    before = now;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
