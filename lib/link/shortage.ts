/** What this process, or the machine it runs on, can run out of. */
export type Shortage = "descriptors" | "ports" | "memory";

const SHORTAGES: Record<string, Shortage> = {
  EMFILE: "descriptors",
  ENFILE: "descriptors",
  EADDRNOTAVAIL: "ports",
  ENOBUFS: "memory",
  ENOMEM: "memory",
};

/** What we lacked when connecting failed with this, or because of it; `undefined`: nothing, so the failure says something of the other end. */
export function shortageOf(error: unknown): Shortage | undefined {
  if (error instanceof AggregateError) return shortageOfAll(error.errors);
  if (!(error instanceof Error)) return undefined;
  const code = "code" in error ? String(error.code) : "";
  return Object.hasOwn(SHORTAGES, code) ? SHORTAGES[code] : shortageOf(error.cause);
}

/**
 * Of several addresses that failed, one that could not be tried may be a good one. No port there is as well for an address
 * of a family that this machine lacks, all the time: that alone says nothing when another address failed otherwise.
 */
function shortageOfAll(errors: unknown[]): Shortage | undefined {
  const shortages = errors.map(shortageOf);
  return shortages.find((shortage) => shortage && shortage !== "ports") ??
    (shortages.every((shortage) => shortage) ? shortages[0] : undefined);
}
