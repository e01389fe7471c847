import type { Link } from "../link/link.ts";
import { isOrderly, MAX_MESSAGE } from "./web_socket_link.ts";

/** What is needed of a `WebSocketStream`, whose name for the code is `closeCode`, or `code` in Deno. */
export interface WebSocketStreamLike {
  readonly opened: Promise<{ readable: ReadableStream<unknown>; writable: WritableStream<Uint8Array<ArrayBuffer>> }>;
  readonly closed: Promise<{ closeCode?: number; code?: number }>;
  close(): void;
}

/**
 * A link over a `WebSocketStream`, which it owns: what nobody reads is held up at the other end. It cannot end one
 * direction: `closeWrite` closes it, after what was written, and what still comes may be lost.
 */
export class WebSocketStreamLink implements Link {
  readonly #socket: WebSocketStreamLike;
  readonly #reader: ReadableStreamDefaultReader<unknown>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  /** What of the last message was not read yet. */
  #rest = new Uint8Array(0);
  /** Settle what is pending when this end closes: the WebSocket would do so after the other end has answered only. */
  readonly #giveUp = new Set<(error: Error) => void>();
  #closed: Error | undefined;
  /** It has closed by itself. */
  #over = false;

  /** `streams`: what `socket.opened` gave. */
  constructor(socket: WebSocketStreamLike, streams: Awaited<WebSocketStreamLike["opened"]>) {
    this.#socket = socket;
    this.#reader = streams.readable.getReader();
    this.#writer = streams.writable.getWriter();
    for (const end of [socket.closed, this.#reader.closed, this.#writer.closed]) {
      end.catch(() => {}).finally(() => this.#over = true); // reads tell
    }
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#unlessClosed(() => this.#reader.read());
      if (done) return await this.#unlessClosed(() => this.#end());
      this.#rest = this.#bytesOf(value);
    }
    const part = this.#rest.subarray(0, buffer.length);
    buffer.set(part);
    this.#rest = this.#rest.subarray(part.length);
    return part.length;
  }

  /** At most `MAX_MESSAGE` bytes. */
  async write(bytes: Uint8Array): Promise<number> {
    const message = bytes.slice(0, MAX_MESSAGE);
    await this.#unlessClosed(() => this.#writer.write(message));
    return message.length;
  }

  /** Settles when the other end has answered. */
  closeWrite(): Promise<void> {
    return this.#unlessClosed(() => this.#writer.close());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = new Error("the WebSocket is closed");
    this.#rest = new Uint8Array(0);
    // One that is over must be left alone: there Chromium 156 crashes with the page, now and then.
    if (!this.#over) this.#socket.close();
    for (const giveUp of this.#giveUp) giveUp(this.#closed);
  }

  async #end(): Promise<null> {
    const { closeCode, code = closeCode } = await this.#socket.closed;
    if (isOrderly(code ?? 1005)) return null;
    throw new Error(`the WebSocket was closed with code ${code}`);
  }

  #bytesOf(message: unknown): Uint8Array<ArrayBuffer> {
    if (message instanceof ArrayBuffer) return new Uint8Array(message);
    if (message instanceof Uint8Array) return message as Uint8Array<ArrayBuffer>;
    this.close();
    throw new Error("Cannot read: the message is text, where bytes belong");
  }

  #unlessClosed<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
      this.#giveUp.add(reject);
      work().then(resolve, reject).finally(() => this.#giveUp.delete(reject));
    });
  }
}
