import { unmapped } from "../ip.ts";
import type { ClientLink, Endpoint, Link } from "./link.ts";
import { resetConnection } from "./libc.ts";

/** A link over a TCP or Unix socket, which it owns. */
export class SocketLink implements Link {
  /** Called once, when this end closes it. */
  onClose: (() => void) | undefined;
  readonly #conn: Deno.Conn;
  #closed = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
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
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
    this.onClose?.();
  }

  reset(): void {
    if (!this.#closed && "setNoDelay" in this.#conn) resetConnection(this.#conn as Deno.TcpConn);
    this.close();
  }
}

/** A link over a TCP connection, with TLS or without, either end's. */
export class TcpLink extends SocketLink implements ClientLink {
  remote: Endpoint;
  local: Endpoint;

  /** `keepAlive`: whether the operating system probes an idle connection. With TLS, Deno lets us set nothing. */
  constructor(conn: Deno.TcpConn | Deno.TlsConn, { keepAlive }: { keepAlive: boolean }) {
    super(conn);
    this.remote = endpointOf(conn.remoteAddr);
    this.local = endpointOf(conn.localAddr);
    if ("setNoDelay" in conn) tune(conn, keepAlive);
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
