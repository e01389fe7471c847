import type { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";
import { ConnStream } from "./conn_stream.ts";
import type { Endpoint } from "./link.ts";
import { endpointOf } from "./tcp.ts";

/** An accepted connection as a stream of Node's, with TLS or without. */
export interface Carrier {
  /** What goes over it. With TLS, reads and writes wait for the handshake. */
  stream: Duplex;
  remote: Endpoint;
  local: Endpoint;
  /** Closes it at once: also in the middle of a handshake, or when the other end takes nothing. */
  destroy(): void;
}

/** Carries over `conn`, which the carrier owns from now on; as the server's end of TLS, when there is a context for it. */
export function carrierOf(conn: Deno.TcpConn, secureContext?: SecureContext): Carrier {
  const bare = new ConnStream(conn);
  // It takes any stream, whatever its types say.
  const stream = secureContext ? new TLSSocket(bare as never, { isServer: true, secureContext }) : bare;
  return {
    stream,
    remote: endpointOf(conn.remoteAddr),
    local: endpointOf(conn.localAddr),
    destroy: () => {
      stream.destroy();
      bare.destroy();
    },
  };
}
