import { dial } from "../link/dial.ts";
import { KEEP_ALIVE } from "../link/engine/engine.ts";
import { TlsConnector } from "../link/tls_connector.ts";
import { checkCa, type TlsOptions } from "../link/trust.ts";
import { type Dialer, hostTarget } from "./dialers.ts";

/** Those of the URLs whose links are sockets of Deno's: `tcp://host:port`, `tls://host:port` and `unix:/path`. `timeout`: see `DialOptions`. */
export function socketDialers({ timeout, ...trust }: TlsOptions & { timeout: number }): Record<string, Dialer> {
  const options = { timeout, keepAlive: KEEP_ALIVE };
  return {
    "tcp:": (url) => {
      const { host: hostname, port } = hostTarget(url);
      return (signal) => dial({ kind: "tcp", hostname, port }, { ...options, signal });
    },
    "tls:": (url) => {
      const { host: hostname, port } = hostTarget(url);
      checkCa(trust);
      const engine = new TlsConnector({ ...trust, servername: trust.servername ?? hostname });
      return (signal) => dial({ kind: "tcp", hostname, port }, { ...options, engine, signal });
    },
    "unix:": ({ pathname }) => (signal) =>
      dial({ kind: "unix", path: decodeURIComponent(pathname) }, { timeout, signal }),
  };
}
