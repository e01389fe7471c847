import { type Fault, faultAt, type Node } from "./document.ts";
import type { Tls } from "./types.ts";

/** Reads a certificate and its key. Throws an `Error` that says in one sentence why they cannot be used. */
export type LoadPair = (certFile: string, keyFile: string) => Pick<Tls, "cert" | "key">;

/** The certificate and key of each entry of `listen` that has them, and what is wrong with those that cannot be used. */
export function loadPairs(
  listen: readonly { tls?: Pick<Tls, "cert" | "key"> | undefined }[],
  loadPair: LoadPair,
  root: Node,
): { loaded: (Tls | undefined)[]; faults: Fault[] } {
  const faults: Fault[] = [];
  const loaded = listen.map(({ tls }, i) => {
    if (!tls) return undefined;
    try {
      return { certFile: tls.cert, keyFile: tls.key, ...loadPair(tls.cert, tls.key) };
    } catch (error) {
      faults.push(faultAt(root, ["listen", i, "tls"], (error as Error).message));
      return undefined;
    }
  });
  return { loaded, faults };
}
