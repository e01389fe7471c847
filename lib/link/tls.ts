import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { type ClientLink, type Endpoint, unmapped } from "./link.ts";
import { StreamLink } from "./stream.ts";

/** The server's end of a TLS connection. Reads and writes wait for its handshake. */
export class TlsLink extends StreamLink implements ClientLink {
  remote: Endpoint;
  local: Endpoint;
  readonly #socket: Socket;
  readonly #onClose: () => void;
  #closed = false;

  /** Owns `socket`. `onClose` is called once, when this end closes it. */
  constructor(socket: Socket, secureContext: SecureContext, onClose: () => void) {
    super(new TLSSocket(socket, { isServer: true, secureContext }));
    this.remote = { hostname: unmapped(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    this.local = { hostname: unmapped(socket.localAddress ?? ""), port: socket.localPort ?? 0 };
    this.#socket = socket;
    this.#onClose = onClose;
  }

  override close(): void {
    if (this.#closed) return;
    this.#closed = true;
    super.close();
    // Also when the other end is in the middle of a handshake, or takes nothing.
    this.#socket.destroy();
    this.#onClose();
  }
}
