import type { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";
import { type Flow, flowIn } from "./flow.ts";
import type { ClientLink, Endpoint } from "./link.ts";
import { holdBack } from "./hold_back.ts";
import { LinkStream } from "./link_stream.ts";

/** An accepted connection as a stream of Node's, with TLS or without. */
export interface Carrier {
  /** What goes over it. With TLS, reads and writes wait for the handshake. */
  stream: Duplex;
  remote: Endpoint;
  local: Endpoint;
  /** See `Link.carriedBy`. */
  flow: Flow | undefined;
  /** Closes it at once: also in the middle of a handshake, or when the other end takes nothing. */
  destroy(): void;
}

/** Carries over `link`, which the carrier owns from now on; as the server's end of TLS, when there is a context for it. */
export function carrierOf(link: ClientLink, secureContext?: SecureContext): Carrier {
  const bare = new LinkStream(link);
  const stream = secureContext ? tlsOver(bare, secureContext) : bare;
  return {
    stream,
    remote: link.remote,
    local: link.local,
    flow: flowIn(link),
    destroy: () => {
      stream.destroy();
      bare.destroy();
    },
  };
}

/** The server's end of TLS. */
function tlsOver(bare: LinkStream, secureContext: SecureContext): TLSSocket {
  // It takes any stream, whatever its types say.
  const tls = new TLSSocket(bare as never, { isServer: true, secureContext });
  holdBack(tls, bare);
  return tls;
}
