import { type ClientLink, type Endpoint, type Link, unmapped } from "./link.ts";
import { resetConnection } from "./libc.ts";

/** A link over a TCP or Unix socket, which it owns. */
export class SocketLink implements Link {
  readonly #conn: Deno.Conn;
  readonly #onClose: () => void;
  /** Whether this end has closed it. */
  protected closed = false;

  /** `onClose` is called once, when this end closes it. */
  constructor(conn: Deno.Conn, onClose: () => void = () => {}) {
    this.#conn = conn;
    this.#onClose = onClose;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#conn.read(buffer);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#conn.close();
    this.#onClose();
  }
}

/** A link over a TCP connection, with TLS or without, either end's. */
export class TcpLink extends SocketLink implements ClientLink {
  remote: Endpoint;
  local: Endpoint;
  readonly #conn: Deno.TcpConn | Deno.TlsConn;

  /** `keepAlive`: whether the operating system probes an idle connection. With TLS, Deno lets us set nothing. */
  constructor(
    conn: Deno.TcpConn | Deno.TlsConn,
    { keepAlive, onClose }: { keepAlive: boolean; onClose?: () => void },
  ) {
    super(conn, onClose);
    this.#conn = conn;
    this.remote = endpointOf(conn.remoteAddr);
    this.local = endpointOf(conn.localAddr);
    if ("setNoDelay" in conn) tune(conn, keepAlive);
  }

  /** As `close`, so that the other end sees a reset; where that cannot be had (`resetConnection`) it sees an end. */
  reset(): void {
    if (!this.closed) resetConnection(this.#conn);
    this.close();
  }
}

/** What holds for every TCP connection: nothing waits for more to come. */
export function tune(conn: Deno.TcpConn, keepAlive: boolean): void {
  try {
    conn.setNoDelay(true);
    if (keepAlive) conn.setKeepAlive(true);
  } catch {
    // It was reset meanwhile: who reads it will know.
  }
}

/** On a listener of both families IPv4 addresses come as IPv6: here they are what they are. */
export function endpointOf({ hostname, port }: Deno.NetAddr): Endpoint {
  return { hostname: unmapped(hostname), port };
}
