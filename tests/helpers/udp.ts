import { parseAddress } from "../../lib/config/units.ts";
import type { Endpoint } from "../../lib/link/link.ts";

/** An address that a test has as `host:port`. */
export const endpoint = (address: string) => parseAddress(address) as Endpoint & { kind: "tcp" };

/** A UDP socket of this machine; without a port, on any. */
export class UdpSocket {
  readonly #socket: Deno.DatagramConn;

  constructor(port = 0) {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port });
  }

  get port(): number {
    return (this.#socket.addr as Deno.NetAddr).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async send(bytes: Uint8Array, to: string): Promise<void> {
    const { hostname, port } = endpoint(to);
    await this.#socket.send(bytes, { transport: "udp", hostname, port });
  }

  /** The next datagram, and who sent it, as `host:port`. */
  async receive(): Promise<{ bytes: Uint8Array; from: string }> {
    const [bytes, from] = await this.#socket.receive(new Uint8Array(65_535));
    const { hostname, port } = from as Deno.NetAddr;
    return { bytes, from: `${hostname}:${port}` };
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
