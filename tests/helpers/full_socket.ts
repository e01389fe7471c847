import { SocketLink } from "../../lib/link/tcp.ts";
import { echo } from "./backend.ts";

/** An echo server at a Unix socket that takes nobody, and whose queue is full, until it is told to serve. */
export class FullSocket implements AsyncDisposable {
  readonly path: string;
  readonly #dir: string;
  readonly #listener: Deno.UnixListener;
  readonly #links: { close(): void }[] = [];
  #served = Promise.resolve();

  private constructor(dir: string) {
    this.#dir = dir;
    this.path = `${dir}/socket`;
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
  }

  static async open(): Promise<FullSocket> {
    const socket = new FullSocket(await Deno.makeTempDir());
    await socket.#fill();
    return socket;
  }

  /** Takes those that waited, too. */
  serve(): void {
    this.#served = this.#serve().catch(() => {}); // the listener was closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const link of this.#links) link.close();
    await this.#served;
    await Deno.remove(this.#dir, { recursive: true });
  }

  async #fill(): Promise<void> {
    try {
      for (;;) this.#links.push(await Deno.connect({ transport: "unix", path: this.path }));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
    }
  }

  async #serve(): Promise<void> {
    for (;;) {
      const link = new SocketLink(await this.#listener.accept());
      this.#links.push(link);
      echo(link).catch(() => {}).finally(() => link.close());
    }
  }
}
