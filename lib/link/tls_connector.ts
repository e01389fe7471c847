import type { SocketAddress } from "./dial.ts";
import type { ConnectOptions, Engine, SocketLink } from "./engine/engine.ts";
import { TcpLink, tune } from "./tcp.ts";
import { tlsFailure, type TlsOptions } from "./trust.ts";

/** The client's end of a TLS connection, over which bytes have a beginning and an end as over TCP. */
class TlsClientLink extends TcpLink {
  /** Many servers close without the word of TLS that they end, ours as well: what that means is for the protocol above to say. */
  override async read(buffer: Uint8Array): Promise<number | null> {
    try {
      return await super.read(buffer);
    } catch (error) {
      if (error instanceof Deno.errors.UnexpectedEof) return null;
      throw error;
    }
  }
}

/**
 * Opens connections with TLS, as the client's end, by Deno: `node:tls` in Deno takes all that comes, however much waits to be read,
 * and does not tell of an end before TCP has ended too.
 *
 * One that is given up in the middle of its handshake is closed by Deno only when the other end is gone, or closes it.
 */
export class TlsConnector implements Pick<Engine, "connect"> {
  readonly #name: string;
  readonly #caCerts: string[];

  /** `servername`: as in `TlsOptions`. */
  constructor({ ca, servername }: TlsOptions & { servername: string }) {
    this.#name = servername;
    this.#caCerts = ca === undefined ? [] : [ca];
  }

  /** To an IP address: rejects as well when the handshake fails, as `tlsFailure` says. */
  async connect(address: SocketAddress, { keepAlive, signal }: ConnectOptions): Promise<SocketLink> {
    signal?.throwIfAborted();
    if (address.kind === "unix") throw new Error("Cannot connect to a Unix socket with TLS");
    const { hostname, port } = address;
    const conn = await Deno.connect({ hostname, port, ...(signal && { signal }) });
    // With TLS, Deno lets us set nothing: before, what is set stays.
    tune(conn, Boolean(keepAlive));
    return await this.#secure(conn, signal);
  }

  async #secure(conn: Deno.TcpConn, signal: AbortSignal | undefined): Promise<SocketLink> {
    const tls = await this.#startTls(conn);
    const link = new TlsClientLink(tls, { keepAlive: false });
    const giveUp = () => link.close();
    signal?.addEventListener("abort", giveUp);
    if (signal?.aborted) giveUp();
    try {
      await tls.handshake();
      return link;
    } catch (error) {
      link.close();
      throw tlsFailure(error, this.#name);
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Owns `conn`. */
  async #startTls(conn: Deno.TcpConn): Promise<Deno.TlsConn> {
    try {
      return await Deno.startTls(conn, { hostname: this.#name, caCerts: this.#caCerts });
    } catch (error) {
      try {
        conn.close();
      } catch {
        // It was taken, and is closed.
      }
      throw tlsFailure(error, this.#name);
    }
  }
}
