import { isIP } from "node:net";
import { type Endpoint, unmapped } from "../link/link.ts";
import type { Networks } from "./networks.ts";

/** What a request for a WebSocket says of who asked, by HTTP's headers. */
export interface ForwardedHeaders {
  "x-forwarded-for"?: string | string[] | undefined;
  forwarded?: string | string[] | undefined;
}

/**
 * Who the client of a request is that came from `peer`. Each proxy on the way adds where its connection came from, at the end of
 * `X-Forwarded-For` or, where that is missing, of `Forwarded` (RFC 7239); what is before the last that is trusted anybody may
 * have written. So it is the last that is not `trusted`; the peer itself when it is not, or nothing is told.
 */
export function clientOf(headers: ForwardedHeaders, peer: Endpoint, trusted: Networks): Endpoint {
  const hops = headers["x-forwarded-for"] ? partsOf(headers["x-forwarded-for"]) : forwardedFor(headers.forwarded);
  let client = peer;
  while (trusted.has(client.hostname) && hops.length > 0) {
    const next = parseHop(hops.pop()!);
    if (!next) break;
    client = next;
  }
  return client;
}

function partsOf(value: string | string[] = ""): string[] {
  return String(value).split(",").map((part) => part.trim());
}

/** The `for` of each hop. */
function forwardedFor(value: string | string[] | undefined): string[] {
  return partsOf(value).map((hop) => /(?:^|;)\s*for=("?)([^;"]*)\1/i.exec(hop)?.[2] ?? "");
}

/** An address, with a port or without; of an IPv6 one, in brackets or not. Others, as `unknown`, are none. */
function parseHop(hop: string): Endpoint | undefined {
  const [, bracketed, bare, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(hop) ?? [];
  const hostname = bracketed ?? bare ?? hop;
  return isIP(hostname) ? { hostname: unmapped(hostname), port: Number(port ?? 0) } : undefined;
}
