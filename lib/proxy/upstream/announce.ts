import { type Endpoint, formatEndpoint } from "../../link/link.ts";
import { proxyV1, proxyV1Unknown, proxyV2, proxyV2Local } from "./proxy_protocol.ts";
import { sprotoPackage } from "./sproto.ts";

/** How a backend is told who its client is. */
export type AnnounceKind = "none" | "sproto" | "proxy_v1" | "proxy_v2";

/** The client of a session. */
export interface ClientInfo {
  /** Where the client is. */
  remote: Endpoint;
  /** Where it connected to. */
  local: Endpoint;
  sessionId: number;
}

/**
 * The first bytes on a new connection to a backend; none for `none` (protocol: Telling the backend who the client is).
 * `client` is missing when it is not to be told of.
 */
export function announcement(
  kind: AnnounceKind,
  client: ClientInfo | undefined,
  sprotoType: number,
): Uint8Array<ArrayBuffer> {
  if (!client) return withoutClient(kind);
  const { remote, local, sessionId } = client;
  switch (kind) {
    case "none":
      return new Uint8Array(0);
    case "sproto":
      return sprotoPackage(sprotoType, formatEndpoint(remote), formatEndpoint(local));
    case "proxy_v1":
      return proxyV1(...ofOneFamily(remote, local));
    case "proxy_v2":
      return proxyV2(...ofOneFamily(remote, local), String(sessionId));
  }
}

/** Who takes a PROXY header from us takes one in any case: without ours it would be the client's own that it believes. */
function withoutClient(kind: AnnounceKind): Uint8Array<ArrayBuffer> {
  if (kind === "proxy_v1") return proxyV1Unknown();
  return kind === "proxy_v2" ? proxyV2Local() : new Uint8Array(0);
}

/** An IPv4 address beside one of IPv6 as the IPv6 one that stands for it: a proxy on the way may have come by the other family. */
function ofOneFamily(...ends: [Endpoint, Endpoint]): [Endpoint, Endpoint] {
  const isV6 = ({ hostname }: Endpoint) => hostname.includes(":");
  if (!ends.some(isV6)) return ends;
  return ends.map((end) => isV6(end) ? end : { ...end, hostname: `::ffff:${end.hostname}` }) as [Endpoint, Endpoint];
}
