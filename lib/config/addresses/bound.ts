import { isIP } from "node:net";
import { unmapped } from "../../ip.ts";
import { type Fault, faultAt, formatPath, type Node, type Path } from "../document.ts";
import { type Address, formatAddress, parseAddress } from "../units.ts";

// deno-lint-ignore no-explicit-any -- a file may hold anything
type Anything = any;

/** Where there is a listener although a file has none. */
export const DEFAULT_LISTENER = { hostname: "0.0.0.0", port: 1248 };

/** Where a file says to listen. */
export interface Bound {
  path: Path;
  written: string;
  /** What is written is a name: it may stand for other addresses than those that are known. */
  name?: string;
  /** The addresses, each in one spelling; a name that is not known is its own. */
  hostnames: readonly string[];
  port: number;
  /** A port of the one is none of the other. */
  protocol: "tcp" | "udp";
}

/** Where the listeners of a file are, as far as their addresses are any. */
export function listenersOf({ tcp, kcp, listen }: Anything): Bound[] {
  const list: Anything[] = Array.isArray(listen) ? listen : [];
  const entries = list.flatMap((entry, i): [Path, unknown][] =>
    ["tcp", "ws", "kcp"].map((kind) => [["listen", i, kind], entry?.[kind]])
  );
  return addressesOf([[["tcp"], tcp], [["kcp"], kcp], ...entries]);
}

/** Where a file listens at all: with the cluster and the manager. */
export function boundBy(input: Anything): Bound[] {
  const byDefault = (input.tcp ?? input.listen ?? undefined) === undefined;
  const tcp = byDefault ? formatAddress({ kind: "tcp", ...DEFAULT_LISTENER }) : input.tcp;
  const listeners = listenersOf({ ...input, tcp });
  return [...listeners, ...addressesOf([[["cluster", "listen"], input.cluster?.listen], [["manager"], input.manager]])];
}

/** Those that are addresses; of others the schema tells. */
function addressesOf(values: [Path, unknown][]): Bound[] {
  return values.flatMap(([path, written]): Bound[] => {
    if (typeof written !== "string" || written === "") return [];
    const address = addressIn(written, "0.0.0.0");
    if (address?.kind !== "tcp") return [];
    const { hostname, port } = address;
    const name = isIP(numeric(hostname)) === 0 ? { name: hostname } : {};
    const protocol = path.at(-1) === "kcp" ? "udp" : "tcp";
    return [{ path, written, ...name, hostnames: [canonicalHost(hostname)], port, protocol }];
  });
}

/** `undefined`: it is none. */
function addressIn(text: string, anyHost?: string): Address | undefined {
  try {
    return parseAddress(text, anyHost);
  } catch {
    return undefined;
  }
}

/** A host in the spelling of every other which surely is the same. */
export function canonicalHost(hostname: string): string {
  return hostname.toLowerCase() === "localhost" ? "127.0.0.1" : numeric(hostname);
}

/** An IP address in one spelling, and as one of IPv4 when it stands for that; a name in lower case. */
function numeric(hostname: string): string {
  const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}`;
  return URL.canParse(url) ? unmapped(new URL(url).hostname.replace(/^\[|\]$/g, "")) : hostname;
}

/** Whether an address to listen on is each of this machine's. */
export function isWildcard(hostname: string): boolean {
  return ["0.0.0.0", "::"].includes(canonicalHost(hostname));
}

/** Whether others than this machine could reach who listens there. */
export function isExposed(written: unknown): boolean {
  return typeof written === "string" && written !== "" && !/^(127\.\d+\.\d+\.\d+|\[::1\]|localhost):/.test(written);
}

/** The addr of a host in one spelling; what is no address as it is. */
export function oneSpelling(addr: unknown): unknown {
  const address = typeof addr === "string" ? addressIn(addr) : undefined;
  if (!address) return addr;
  return formatAddress(address.kind === "tcp" ? { ...address, hostname: canonicalHost(address.hostname) } : address);
}

/**
 * Those that cannot be had beside one before: at the same address, which two listeners would share, each with a part of the
 * clients; or the manager, which shares its address with nobody, beside a wildcard.
 */
export function taken(bound: readonly Bound[], root: Node): Fault[] {
  return bound.flatMap((one, i) => {
    const others = bound.slice(0, i).filter((other) => isSamePort(one, other));
    const same = others.find(({ hostnames }) => hostnames.some((hostname) => one.hostnames.includes(hostname)));
    if (same) {
      return faultAt(root, one.path, `${one.written} is listened on already, by ${formatPath(same.path)}`);
    }
    const isManager = one.path[0] === "manager";
    const wide = isManager && others.find((other) => isWithin(one, other) || isWithin(other, one));
    if (!wide) return [];
    const text = `${one.written} cannot be had beside ${wide.written} of ${formatPath(wide.path)}: take another port`;
    return faultAt(root, one.path, text);
  });
}

/** A wildcard beside one of its own addresses: legal, as the nearer one gets the client, but seldom meant. */
export function shadowed(bound: readonly Bound[], root: Node): Fault[] {
  return bound.flatMap((one) =>
    bound.filter((other) => isWithin(one, other)).map((other) => {
      const who = one.hostnames.includes("0.0.0.0") ? "comes over IPv4" : `connects to ${one.written}`;
      return faultAt(root, one.path, `who ${who} reaches this, not ${formatPath(other.path)}`);
    })
  );
}

function isSamePort(one: Bound, other: Bound): boolean {
  return one.port === other.port && one.port !== 0 && one.protocol === other.protocol;
}

function isWithin(one: Bound, wide: Bound): boolean {
  if (!isSamePort(one, wide)) return false;
  return wide.hostnames.some((wildcard) => one.hostnames.some((hostname) => covers(wildcard, hostname)));
}

/** `::` takes who comes over IPv4 as well, unless the system is set otherwise. Of a name that is not known nobody can tell. */
function covers(wildcard: string, hostname: string): boolean {
  const family = isIP(hostname);
  return wildcard !== hostname && (wildcard === "::" && family !== 0 || wildcard === "0.0.0.0" && family === 4);
}
