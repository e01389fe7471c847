import * as v from "valibot";
import type { Endpoint } from "../../../../link/link.ts";
import { within } from "../../../../within.ts";
import type { Connect } from "../conversation.ts";

const EPOCHS = v.record(
  v.pipe(v.string(), v.regex(/^\d{1,5}$/)),
  v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
);

/**
 * Asks who is at these addresses which epochs they remember, and passes each to `remember`. Settles after `limit` milliseconds at the
 * latest; what comes later is passed on, too. Never rejects: who does not answer remembers nothing.
 */
export async function askRemembered(
  addrs: readonly Endpoint[],
  { connect, remember, limit }: { connect: Connect; remember: (slot: number, epoch: number) => void; limit: number },
): Promise<void> {
  const ask = async (addr: Endpoint) => {
    const conversation = await connect(addr, "call", {});
    try {
      const epochs = v.parse(EPOCHS, await conversation.ask("epochs", {}, limit));
      for (const [slot, epoch] of Object.entries(epochs)) remember(Number(slot), epoch);
    } finally {
      conversation.close();
    }
  };
  await within(limit, Promise.all(addrs.map((addr) => ask(addr).catch(() => {}))));
}
