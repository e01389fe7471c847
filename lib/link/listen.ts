import { type Endpoint, formatEndpoint, reasonOf } from "./link.ts";

/** What `listen` gives. Throws, when the address (the text is one as it is) cannot be had, why, in one sentence. */
export function orExplain<T>(address: Endpoint | string, listen: () => T): T {
  try {
    return listen();
  } catch (error) {
    const reason = error instanceof Deno.errors.AddrInUse
      ? "the address is in use"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied (ports below 1024 need root, or CAP_NET_BIND_SERVICE)"
      : reasonOf(error);
    const text = typeof address === "string" ? address : formatEndpoint(address);
    throw new Error(`Cannot listen on ${text}: ${reason}`);
  }
}
