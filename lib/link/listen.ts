import { isIP } from "node:net";
import { type Endpoint, formatEndpoint, reasonOf } from "./link.ts";

/** Of the system's usual reasons, by their codes, what an operator can do something with. */
const REASONS: Record<string, string> = {
  EADDRINUSE: "the address is in use",
  EACCES: "permission denied (ports below 1024 need root, or CAP_NET_BIND_SERVICE)",
};

/** The address of a name, which Deno looks up at once only for who listens. */
export function ipOf(hostname: string): string {
  if (isIP(hostname.split("%")[0]!)) return hostname;
  using listener = Deno.listen({ hostname, port: 0 });
  return listener.addr.hostname;
}

/** What `listen` gives. Throws, when the address (the text is one as it is) cannot be had, why, in one sentence. */
export function orExplain<T>(address: Endpoint | string, listen: () => T): T {
  try {
    return listen();
  } catch (error) {
    const reason = REASONS[(error as { code?: string }).code ?? ""] ?? reasonOf(error);
    const text = typeof address === "string" ? address : formatEndpoint(address);
    throw new Error(`Cannot listen on ${text}: ${reason}`);
  }
}
