import { type Endpoint, formatEndpoint } from "../link/link.ts";
import { proxyV1, proxyV2 } from "./proxy_protocol.ts";
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

/** The first bytes on a new connection to a backend; none for `none` (protocol: Telling the backend who the client is). */
export function announcement(
  kind: AnnounceKind,
  { remote, local, sessionId }: ClientInfo,
  sprotoType: number,
): Uint8Array<ArrayBuffer> {
  switch (kind) {
    case "none":
      return new Uint8Array(0);
    case "sproto":
      return sprotoPackage(sprotoType, formatEndpoint(remote), formatEndpoint(local));
    case "proxy_v1":
      return proxyV1(remote, local);
    case "proxy_v2":
      return proxyV2(remote, local, String(sessionId));
  }
}
