import type { Link } from "../link/link.ts";
import { dialWebSocket, type WebSocketConstructor } from "./web_socket_transport.ts";

/** Opens a link to the proxy; gives up when the signal says so. The caller owns the link. */
export type Dial = (signal: AbortSignal) => Promise<Link>;

/** What reads the URLs of a scheme. Throws when one is not as it must be. */
export type Dialer = (url: URL) => Dial;

/** Those of WebSocket URLs. `WebSocket`: the runtime's own when it is not given. */
export function webSocketDialers(WebSocket?: WebSocketConstructor): Record<string, Dialer> {
  const dialer: Dialer = ({ href }) => (signal) => dialWebSocket(href, signal, WebSocket);
  return { "ws:": dialer, "wss:": dialer };
}

/** How to open links to `url`. Throws when no dialer, by the URL's scheme with its colon, takes it. */
export function dialFor(url: string | URL, dialers: Record<string, Dialer>): Dial {
  const parsed = new URL(url);
  const dialer = dialers[parsed.protocol];
  if (dialer) return dialer(parsed);
  throw new Error(`Cannot connect to ${url}: its scheme is none of ${Object.keys(dialers).join(" ")}`);
}

/** Host and port of `tcp://host:port`, an IPv6 address without brackets. Throws when the URL has anything else. */
export function tcpTarget(url: URL): { host: string; port: number } {
  const { href, host, hostname, port } = url;
  if (hostname === "" || port === "" || !["", "/"].includes(href.slice(`tcp://${host}`.length))) {
    throw new Error(`Cannot connect to ${href}: expected tcp://host:port`);
  }
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
}
