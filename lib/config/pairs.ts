import { type Fault, faultAt, type Node } from "./document.ts";
import type { ClusterTls, Tls } from "./types.ts";

/**
 * Reads a certificate and its key. Throws an `Error` that says in one sentence why they cannot be used; where it is about one of
 * them, its `file` is that one's.
 */
export type LoadPair = (certFile: string, keyFile: string) => Pick<Tls, "cert" | "key">;

/** Reads the certificates of authorities. Throws an `Error` that says in one sentence why they cannot be used. */
export type LoadCa = (file: string) => string;

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

/** What is in the files of `cluster.tls`, and what is wrong with those that cannot be used. */
export function loadClusterTls(
  tls: { ca: string; cert: string; key: string; name: string } | undefined,
  { loadPair, loadCa }: { loadPair: LoadPair; loadCa: LoadCa },
  root: Node,
): { loaded?: ClusterTls; faults: Fault[] } {
  if (!tls) return { faults: [] };
  const faults: Fault[] = [];
  const attempt = <T>(keys: ("ca" | "cert" | "key")[], load: () => T): T | undefined => {
    try {
      return load();
    } catch (error) {
      const { file, message } = error as Error & { file?: string };
      const key = keys.length === 1 ? keys : keys.filter((key) => tls[key] === file);
      faults.push(faultAt(root, ["cluster", "tls", ...key.slice(0, 1)], message));
    }
  };
  const ca = attempt(["ca"], () => loadCa(tls.ca));
  const pair = attempt(["cert", "key"], () => loadPair(tls.cert, tls.key));
  if (ca === undefined || !pair) return { faults };
  return { loaded: { caFile: tls.ca, certFile: tls.cert, keyFile: tls.key, name: tls.name, ca, ...pair }, faults };
}
