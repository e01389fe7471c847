import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";
import { type Endpoint, unmapped } from "./link.ts";

/** A connection that was accepted by Node's interface, with TLS or without. */
export interface Carrier {
  /** What goes over it. With TLS, reads and writes wait for the handshake. */
  stream: Duplex;
  remote: Endpoint;
  local: Endpoint;
  /** Closes it at once: also in the middle of a handshake, or when the other end takes nothing. */
  destroy(): void;
}

/** Carries over `socket`, which the carrier owns from now on; as the server's end of TLS, when there is a context for it. */
export function carrierOf(socket: Socket, secureContext?: SecureContext): Carrier {
  const stream = secureContext ? new TLSSocket(socket, { isServer: true, secureContext }) : socket;
  return {
    stream,
    remote: { hostname: unmapped(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 },
    local: { hostname: unmapped(socket.localAddress ?? ""), port: socket.localPort ?? 0 },
    destroy: () => {
      stream.destroy();
      socket.destroy();
    },
  };
}
