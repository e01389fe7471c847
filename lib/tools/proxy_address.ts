import { dialFor, type Dialling } from "../client/dialers.ts";
import { type KcpConnectOptions, kcpDialers } from "../client/kcp_dialers.ts";
import { socketDialers } from "../client/socket_dialers.ts";
import { formatAddress, parseAddress } from "../config.ts";
import type { TlsOptions } from "../link/trust.ts";

/** The URL of a proxy: `host:port`, `unix:/path`, or a URL as it is. Throws when it is no address. */
export function urlOf(addr: string): string {
  if (addr.includes("://")) return addr;
  const address = parseAddress(addr);
  if (address.kind === "builtin") throw new Error(`Cannot connect to ${addr}: it is not an address`);
  if (address.kind === "tcp") return `tcp://${formatAddress(address)}`;
  return `unix:${encodeURI(address.path).replace(/[?#]/g, encodeURIComponent)}`;
}

/** How to open links to a proxy. */
export interface DiallingOptions extends TlsOptions, KcpConnectOptions {
  /** See `DialOptions`, and `kcpDialers`. */
  timeout: number;
  silence?: number;
}

/** How to open links to a proxy, but over WebSockets. Throws when `addr` is no address of one. */
export function diallingTo(addr: string, options: DiallingOptions): Dialling {
  return dialFor(urlOf(addr), { ...socketDialers(options), ...kcpDialers(options) });
}
