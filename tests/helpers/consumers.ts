import type { Consumer } from "../../lib/scp/v2/mod.ts";

/** Takes all that comes. */
export const all: Consumer = { take: (bytes) => bytes.length };

/** Takes nothing. */
export const none: Consumer = { take: () => 0 };
