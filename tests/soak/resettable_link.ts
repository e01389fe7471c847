import { connect, type Socket } from "node:net";
import type { Link } from "../../lib/link/link.ts";

/** A link over TCP that can be reset: a connection of Deno's own can only be closed in order. */
export class ResettableLink implements Link {
  readonly #socket: Socket;
  /** Rejects when the connection is gone: a socket that is destroyed may forget to say so of a write. */
  readonly #gone = Promise.withResolvers<never>();
  #error: Error | undefined;
  #ended = false;
  #changed = Promise.withResolvers<void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#gone.promise.catch(() => {});
    socket.on("readable", () => this.#notify());
    socket.on("end", () => this.#notify(() => this.#ended = true));
    const fail = (error: Error) =>
      this.#notify(() => {
        this.#error ??= error;
        this.#gone.reject(error);
      });
    socket.on("error", fail);
    socket.on("close", () => fail(new Error("the connection is closed")));
  }

  /** Opens a connection to `host:port`. */
  static async open(address: string): Promise<ResettableLink> {
    const at = address.lastIndexOf(":");
    const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true });
    const link = new ResettableLink(socket);
    await Promise.race([new Promise<void>((resolve) => socket.once("connect", resolve)), link.#gone.promise]);
    return link;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      const bytes: Uint8Array | null = this.#socket.read(Math.min(buffer.length, this.#socket.readableLength));
      if (bytes?.length) {
        buffer.set(bytes);
        return bytes.length;
      }
      if (this.#ended) return null;
      if (this.#error) throw this.#error;
      await this.#changed.promise;
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    const written = new Promise<number>((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
    return Promise.race([written, this.#gone.promise]);
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Ends the connection by a reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  #notify(change?: () => void): void {
    change?.();
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
