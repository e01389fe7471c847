import { type Link, writeAll } from "../../lib/link/link.ts";
import { TcpLink } from "../../lib/link/tcp.ts";
import { concat } from "./bytes.ts";

/** A backend, on a random port of 127.0.0.1 unless told otherwise, whose connections a test takes one by one. */
export class Backend implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #links: Link[] = [];

  /** `hostname`: `0.0.0.0` listens on all others of 127.0.0.0/8 as well. */
  constructor(hostname: "127.0.0.1" | "127.0.0.2" | "0.0.0.0" = "127.0.0.1", port = 0) {
    this.#listener = Deno.listen({ hostname, port });
  }

  /** `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** The next connection. */
  async accept(): Promise<TcpLink> {
    const link = new TcpLink(await this.#listener.accept(), { keepAlive: false });
    this.#links.push(link);
    return link;
  }

  /** Serves each connection so, until disposed. */
  serve(handle: (link: Link) => Promise<void>): this {
    const loop = async () => {
      for (;;) {
        const link = await this.accept();
        handle(link).catch(() => {}).finally(() => link.close());
      }
    };
    loop().catch(() => {}); // the listener was closed
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const link of this.#links) link.close();
    return Promise.resolve();
  }
}

/** Gives back what it gets. */
export async function echo(link: Link): Promise<void> {
  const buffer = new Uint8Array(16 * 1024);
  for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) {
    await writeAll(link, buffer.slice(0, n));
  }
}

/** Reads to the end of the stream. */
export async function readToEnd(link: Pick<Link, "read">): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(16 * 1024);
  for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) chunks.push(buffer.slice(0, n));
  return concat(chunks);
}

/** Reads just so many bytes; fewer only when the stream ends before. */
export async function readExactly(link: Pick<Link, "read">, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  let filled = 0;
  while (filled < count) {
    const n = await link.read(bytes.subarray(filled));
    if (n === null) break;
    filled += n;
  }
  return bytes.subarray(0, filled);
}
