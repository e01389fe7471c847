import type { Dial, FlowingDial } from "./connection_options.ts";
import { dialWebSocket, type WebSocketConstructor } from "./web_socket_transport.ts";

export type { Dial };

/** What reads the URLs of a scheme. Throws when one is not as it must be. */
export type Dialer<D = Dial> = (url: URL) => D;

/** See `ConnectionOptions`. */
export interface Dialling<D = Dial> {
  dial: D;
  dialUrl: (url: string) => D | undefined;
}

/** Those of WebSocket URLs. `WebSocket`: the runtime's own when it is not given. */
export function webSocketDialers(WebSocket?: WebSocketConstructor): Record<string, Dialer<FlowingDial>> {
  const dialer: Dialer<FlowingDial> = ({ href }) => (signal) => dialWebSocket(href, signal, WebSocket);
  return { "ws:": dialer, "wss:": dialer };
}

/** How to open links to `url`, and to others of its scheme. Throws when no dialer, by the URL's scheme with its colon, takes it. */
export function dialFor<D>(url: string | URL, dialers: Record<string, Dialer<D>>): Dialling<D> {
  const parsed = new URL(url);
  const { protocol } = parsed;
  const dialer = dialers[protocol];
  if (dialer) return { dial: dialer(parsed), dialUrl: (url) => dialOther(url, protocol, dialer) };
  throw new Error(`Cannot connect to ${url}: its scheme is none of ${Object.keys(dialers).join(" ")}`);
}

/** `undefined`: that is no URL of the scheme. */
function dialOther<D>(url: string, protocol: string, dialer: Dialer<D>): D | undefined {
  try {
    const parsed = new URL(url);
    return parsed.protocol === protocol ? dialer(parsed) : undefined;
  } catch {
    return undefined;
  }
}

/** Host and port of `tcp://host:port` or `tls://host:port`, an IPv6 address without brackets. Throws when the URL has anything else. */
export function hostTarget(url: URL): { host: string; port: number } {
  const { href, protocol, host, hostname, port } = url;
  if (hostname === "" || port === "" || !["", "/"].includes(href.slice(`${protocol}//${host}`.length))) {
    throw new Error(`Cannot connect to ${href}: expected ${protocol}//host:port`);
  }
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
}
