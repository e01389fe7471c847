import type { Random } from "../helpers/random.ts";

/** Below what systems give to outgoing connections: one of these could have the port when a listener wants it back. */
const FIRST = 20_000;
const LAST = 32_000;

/** A port of 127.0.0.1 that is free now, and that no outgoing connection is given. */
export function freePort(random: Random): number {
  for (let tries = 0; tries < 100; tries++) {
    const port = random.int(FIRST, LAST);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch {
      // It is taken.
    }
  }
  throw new Error(`there is no free port of ${FIRST} to ${LAST} on 127.0.0.1`);
}
