import type { Carrier } from "./carrier.ts";
import type { ClientLink, Endpoint } from "./link.ts";
import { StreamLink } from "./stream.ts";

/** The server's end of a TLS connection. Reads and writes wait for its handshake. */
export class TlsLink extends StreamLink implements ClientLink {
  remote: Endpoint;
  local: Endpoint;
  readonly #carrier: Carrier;
  readonly #onClose: () => void;
  #closed = false;

  /** Owns the carrier. `onClose` is called once, when this end closes it. */
  constructor(carrier: Carrier, onClose: () => void) {
    super(carrier.stream);
    this.remote = carrier.remote;
    this.local = carrier.local;
    this.#carrier = carrier;
    this.#onClose = onClose;
  }

  get carriedBy(): Carrier["flow"] {
    return this.#carrier.flow;
  }

  override close(): void {
    if (this.#closed) return;
    this.#closed = true;
    super.close();
    this.#carrier.destroy();
    this.#onClose();
  }
}
