import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { type Flow, flowIn } from "./flow.ts";
import { type Link, writeAll } from "./link.ts";
import { ReadBuffer } from "./read_buffer.ts";

/** The largest read, in bytes. */
const LARGEST_READ = 64 * 1024;

/**
 * A stream of Node's over a link, which it owns: for what is made on such streams. It reads from the network
 * only as it is read. It ends its own direction when the other end has ended its, and then closes the link; unless it may be half open: then
 * it does neither by itself.
 */
export class LinkStream extends Duplex {
  /** Whether nothing more is to be read, though what was read is taken; when it may be again, `goOn` is to be called. */
  isHeld: () => boolean = () => false;
  readonly #link: Link;
  readonly #flow: Flow | undefined;
  readonly #buffer: ReadBuffer;
  #isWaiting = false;

  /** `most`: the largest read. */
  constructor(link: Link, { allowHalfOpen = false, most = LARGEST_READ } = {}) {
    super({ allowHalfOpen, autoDestroy: !allowHalfOpen });
    this.#buffer = new ReadBuffer(most);
    this.#link = link;
    this.#flow = flowIn(link);
  }

  /** Reads what was wanted while it was held, unless it is held still. */
  goOn(): void {
    if (this.#isWaiting) this._read();
  }

  override _read(): void {
    this.#isWaiting = this.isHeld();
    if (this.#isWaiting) return;
    this.#link.read(this.#buffer.bytes).then((n) => {
      this.#flow?.yieldSoon?.();
      if (n === null) return this.push(null);
      const bytes = this.#buffer.bytes.slice(0, n);
      this.#buffer.took(n);
      this.push(bytes);
    }).catch((error) => this.destroy(error));
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    writeAll(this.#link, bytes).then(() => {
      this.#flow?.yieldSoon?.();
      done();
    }, done);
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
