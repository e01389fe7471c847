import { Condition } from "../link/condition.ts";
import type { Link } from "../link/link.ts";

/**
 * The longest message that is sent, in bytes: servers refuse long ones, and have nothing of one before it is whole, so of a
 * long one nothing at all where connections do not live long.
 */
const MAX_MESSAGE = 16 * 1024;
/** A writer waits while more than so many bytes are under way in the WebSocket. */
const MOST_BUFFERED = 256 * 1024;
/** The shortest and the longest pause before `bufferedAmount` is looked at again, in milliseconds: no event tells of it. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 50;

/** What is needed of a WebSocket: that of browsers, Deno and Node 22, and that of the package `ws`. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(): void;
  addEventListener(kind: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(kind: "close", listener: (event: { wasClean: boolean; code: number }) => void): void;
  addEventListener(kind: "open" | "error", listener: (event: { message?: unknown }) => void): void;
}

/** Whether a WebSocket that was closed cleanly was so because its stream came to its end: no reason, or no other one. */
function isOrderly(code: number): boolean {
  return code === 1000 || code === 1005;
}

/** What an event of kind `error` tells: in browsers nothing. */
export function messageOf(event: { message?: unknown }): string {
  return typeof event.message === "string" && event.message !== "" ? event.message : "the WebSocket broke";
}

/**
 * A link over an open WebSocket, which it owns. What a WebSocket brings cannot be held up: bytes that nobody reads wait in
 * memory. Nor can it end one direction: `closeWrite` closes it, after what was written, and what still comes is lost.
 */
export class WebSocketLink implements Link {
  readonly #socket: WebSocketLike;
  readonly #changed = new Condition();
  #queue: Uint8Array[] = [];
  #endPause: () => void = () => {};
  /** Closed, by whichever end, cleanly or not. */
  #over = false;
  /** Why it broke, or that this end closed it. */
  #error: Error | undefined;

  constructor(socket: WebSocketLike) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#take(data));
    socket.addEventListener("error", (event) => this.#fail(messageOf(event)));
    socket.addEventListener("close", ({ wasClean, code }) => {
      if (this.#over) return;
      if (!wasClean || !isOrderly(code)) this.#error ??= new Error(`the WebSocket was closed with code ${code}`);
      this.#finish();
    });
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      const first = this.#queue[0];
      if (first) return this.#give(first, buffer);
      if (this.#over) return this.#end();
      await this.#changed.wait();
    }
  }

  /** At most `MAX_MESSAGE` bytes. They are copied: not every WebSocket has sent them when `send` returns. */
  async write(bytes: Uint8Array): Promise<number> {
    for (let pause = FIRST_PAUSE; !this.#over && this.#socket.bufferedAmount > MOST_BUFFERED;) {
      await this.#pause(pause);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
    if (this.#over) throw this.#error ?? new Error("Cannot write: the WebSocket is closed");
    const message = bytes.slice(0, MAX_MESSAGE);
    this.#socket.send(message);
    return message.length;
  }

  /** Settles when the other end has answered. */
  async closeWrite(): Promise<void> {
    this.#socket.close();
    while (!this.#over) await this.#changed.wait();
    this.#end();
  }

  close(): void {
    if (!this.#over) this.#fail("the WebSocket is closed");
    this.#queue = [];
  }

  #end(): null {
    if (this.#error) throw this.#error;
    return null;
  }

  #take(data: unknown): void {
    if (this.#over) return;
    if (!(data instanceof ArrayBuffer)) return this.#fail("Cannot read: the message is text, where bytes belong");
    if (data.byteLength > 0) this.#queue.push(new Uint8Array(data));
    this.#changed.notify();
  }

  #give(first: Uint8Array, buffer: Uint8Array): number {
    const part = first.subarray(0, buffer.length);
    buffer.set(part);
    if (part.length < first.length) this.#queue[0] = first.subarray(part.length);
    else this.#queue.shift();
    return part.length;
  }

  #fail(reason: string): void {
    this.#error ??= new Error(reason);
    this.#socket.close();
    this.#finish();
  }

  /** Shorter when the link is over. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #finish(): void {
    this.#over = true;
    this.#endPause();
    this.#changed.notify();
  }
}
