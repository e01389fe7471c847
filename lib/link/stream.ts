import type { Duplex } from "node:stream";
import { Condition } from "./condition.ts";
import type { Link } from "./link.ts";

/** A link over a stream of Node's, which it owns. */
export class StreamLink implements Link {
  readonly #stream: Duplex;
  readonly #changed = new Condition();
  /** Rejects when the stream is gone: one that is destroyed may forget to say so of a write. */
  readonly #gone = Promise.withResolvers<never>();
  #error: Error | undefined;
  #ended = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.#gone.promise.catch(() => {});
    stream.on("readable", () => this.#changed.notify());
    stream.on("end", () => {
      this.#ended = true;
      this.#changed.notify();
    });
    stream.on("error", (error) => this.#fail(error));
    stream.on("close", () => this.#fail(new Error("the connection is closed")));
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      const bytes: Uint8Array | null = this.#stream.read(Math.min(buffer.length, this.#stream.readableLength));
      if (bytes?.length) {
        buffer.set(bytes);
        return bytes.length;
      }
      if (this.#ended) return null;
      if (this.#error) throw this.#error;
      await this.#changed.wait();
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    const written = new Promise<number>((resolve, reject) => {
      this.#stream.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
    return Promise.race([written, this.#gone.promise]);
  }

  closeWrite(): Promise<void> {
    const told = new Promise<void>((resolve) => this.#stream.end(() => resolve()));
    return Promise.race([told, this.#gone.promise]);
  }

  close(): void {
    this.#stream.destroy();
    this.#fail(new Error("the connection is closed"));
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#gone.reject(error);
    this.#changed.notify();
  }
}
