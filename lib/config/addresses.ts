import { type Fault, faultAt, formatPath, type Node, type Path } from "./document.ts";
import { type Address, formatAddress, parseAddress } from "./units.ts";

// deno-lint-ignore no-explicit-any -- a file may hold anything
type Anything = any;

/** Where a file says to listen, in one spelling of each address. */
export interface Bound {
  path: Path;
  written: string;
  address: { kind: "tcp"; hostname: string; port: number };
}

/** Where the listeners of a file are, as far as their addresses are any. */
export function listenersOf({ tcp, listen }: Anything): Bound[] {
  const list: Anything[] = Array.isArray(listen) ? listen : [];
  const entries = list.flatMap((entry, i): [Path, unknown][] =>
    ["tcp", "ws"].map((kind) => [["listen", i, kind], entry?.[kind]])
  );
  return addressesOf([[["tcp"], tcp], ...entries]);
}

/** Where a file listens at all: with the manager. */
export function boundBy(input: Anything): Bound[] {
  return [...listenersOf(input), ...addressesOf([[["manager"], input.manager]])];
}

/** Those that are addresses; of others the schema tells. */
function addressesOf(values: [Path, unknown][]): Bound[] {
  return values.flatMap(([path, written]) => {
    if (typeof written !== "string" || written === "") return [];
    const address = canonical(written, "0.0.0.0");
    return address?.kind === "tcp" ? [{ path, written, address }] : [];
  });
}

/** An address whose spelling is that of every other which surely is the same; `undefined`: it is none. */
function canonical(text: string, anyHost?: string): Address | undefined {
  try {
    const address = parseAddress(text, anyHost);
    return address.kind === "tcp" ? { ...address, hostname: canonicalHost(address.hostname) } : address;
  } catch {
    return undefined;
  }
}

function canonicalHost(hostname: string): string {
  if (hostname.toLowerCase() === "localhost") return "127.0.0.1";
  const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}`;
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, "") : hostname;
}

/** The addr of a host in one spelling; what is no address as it is. */
export function oneSpelling(addr: unknown): unknown {
  const address = typeof addr === "string" ? canonical(addr) : undefined;
  return address ? formatAddress(address) : addr;
}

/** A wildcard beside one of its own addresses: legal, as the nearer one gets the client, but seldom meant. */
export function shadowed(input: Anything, root: Node): Fault[] {
  const bound = boundBy(input);
  return bound.flatMap((one) =>
    bound.filter((other) => isWithin(one, other)).map((other) =>
      faultAt(root, one.path, `who connects to ${one.written} reaches this, not ${formatPath(other.path)}`)
    )
  );
}

function isWithin({ address: one }: Bound, { address: wide }: Bound): boolean {
  if (one.port !== wide.port || one.port === 0 || one.hostname === wide.hostname) return false;
  return wide.hostname === "::" || wide.hostname === "0.0.0.0" && !one.hostname.includes(":");
}
