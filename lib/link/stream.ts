import type { Duplex } from "node:stream";
import { Condition } from "./condition.ts";
import type { Link } from "./link.ts";

/** A link over a stream of Node's, which it owns. */
export class StreamLink implements Link {
  readonly #stream: Duplex;
  readonly #changed = new Condition();
  /** Settles the write that is pending: a stream that is destroyed may forget to. */
  #giveUp: (error: Error) => void = () => {};
  #error: Error | undefined;
  #ended = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
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
    return this.#settled((done) => this.#stream.write(bytes, done), bytes.length);
  }

  closeWrite(): Promise<void> {
    return this.#settled((done) => this.#stream.end(done), undefined);
  }

  close(): void {
    this.#stream.destroy();
    this.#fail(new Error("the connection is closed"));
  }

  /** Rejects too when the stream fails meanwhile, or has. */
  #settled<T>(start: (done: (error?: Error | null) => void) => void, value: T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#error) return reject(this.#error);
      this.#giveUp = reject;
      start((error) => error ? reject(error) : resolve(value));
    });
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#giveUp(error);
    this.#changed.notify();
  }
}
