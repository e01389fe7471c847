import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { type Link, writeAll } from "./link.ts";
import { ReadBuffer } from "./read_buffer.ts";

/** The largest read, in bytes. */
const LARGEST_READ = 64 * 1024;

/**
 * A stream of Node's over a link, which it owns: for what is made on such streams. It reads from the network
 * only as it is read, and ends its own direction when the other end has ended its.
 */
export class LinkStream extends Duplex {
  readonly #link: Link;
  readonly #buffer = new ReadBuffer(LARGEST_READ);

  constructor(link: Link) {
    super({ allowHalfOpen: false });
    this.#link = link;
  }

  override _read(): void {
    this.#link.read(this.#buffer.bytes).then((n) => {
      if (n === null) return this.push(null);
      const bytes = this.#buffer.bytes.slice(0, n);
      this.#buffer.took(n);
      this.push(bytes);
    }).catch((error) => this.destroy(error));
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    writeAll(this.#link, bytes).then(() => done(), done);
  }

  /** What is there at once, as the head of a message and the message, goes in one write. */
  override _writev(parts: { chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(parts.map(({ chunk }) => chunk)), "", done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#link.closeWrite().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#link.close();
    done(error);
  }
}
