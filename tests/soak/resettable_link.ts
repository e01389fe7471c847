import { connect, type Socket } from "node:net";
import { StreamLink } from "../../lib/link/stream.ts";

/** A link over TCP that can be reset fast: `TcpLink.reset` looks through all descriptors, of which the soak has thousands. */
export class ResettableLink extends StreamLink {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    super(socket);
    this.#socket = socket;
  }

  /** Opens a connection to `host:port`. */
  static open(address: string): Promise<ResettableLink> {
    const at = address.lastIndexOf(":");
    const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true });
    const link = new ResettableLink(socket);
    return new Promise((resolve, reject) => {
      socket.once("connect", () => resolve(link));
      socket.once("error", reject);
    });
  }

  /** Ends the connection by a reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
}
