import { isIP } from "node:net";
import { unmapped } from "../../ip.ts";
import type { Endpoint } from "../../link/link.ts";
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
  const listed = headers["x-forwarded-for"];
  let client = peer;
  for (const hop of listed ? partsOf(listed).toReversed() : forwardedFor(headers.forwarded)) {
    const next = trusted.has(client.hostname) && parseHop(hop);
    if (!next) break;
    client = next;
  }
  return client;
}

function partsOf(value: string | string[]): string[] {
  return String(value).split(",").map((part) => part.trim());
}

/** A name with its value, which has any character when it is in quotes: also those that part names, and hops. */
const PAIR = /([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;=\\]*))/;
/** The last hop of a list, and what is before it. Of what a client wrote the beginning, only the end is sure to be well-formed. */
const LAST_HOP = new RegExp(`^(?:(.*),)?\\s*(?:(${PAIR.source}(?:\\s*;\\s*${PAIR.source})*)\\s*)?$`);

/** The `for` of each hop, the last one first; of what is no list of hops, one that tells nothing. */
function* forwardedFor(value: string | string[] | undefined): Generator<string> {
  for (let rest = value && String(value); rest;) {
    const [, before, hop = ""] = LAST_HOP.exec(rest) ?? [];
    const told = [...hop.matchAll(new RegExp(PAIR, "g"))].filter(([, name]) => name!.toLowerCase() === "for");
    const [, , quoted, bare = ""] = told.length === 1 ? told[0]! : [];
    yield quoted?.replace(/\\(.)/g, "$1") ?? bare;
    rest = before;
  }
}

/** An address, with a port or without, which may be hidden; of an IPv6 one, in brackets or not. Others, as `unknown`, are none. */
function parseHop(hop: string): Endpoint | undefined {
  const [, bracketed, bare, port = "0"] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}|_[\w.-]+))?$/.exec(hop) ?? [];
  const hostname = bracketed ?? bare ?? hop;
  if (!isIP(hostname) || Number(port) > 65535) return undefined;
  return { hostname: unmapped(hostname), port: Number(port) || 0 };
}
