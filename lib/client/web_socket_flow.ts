import { type Flow, NOBODY, type Sink } from "../link/flow.ts";

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
 * An open WebSocket as a flow, which owns it. What a WebSocket brings cannot be held up: bytes that nobody reads wait in memory. Nor
 * can it end one direction: `closeWrite` closes it, after what was written, and what still comes is lost.
 */
export class WebSocketFlow implements Flow {
  sink: Sink = NOBODY;
  readonly #socket: WebSocketLike;
  #queue: Uint8Array<ArrayBuffer>[] = [];
  #most = 0;
  #isPaused = true;
  #isTelling = false;
  /** While a writer waits. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Closed, by whichever end, cleanly or not; and the sink knows, or is not to know. */
  #isOver = false;
  #isTold = false;
  /** Why it broke. */
  #error: Error | undefined;

  constructor(socket: WebSocketLike) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#take(data));
    socket.addEventListener("error", (event) => this.#fail(messageOf(event)));
    socket.addEventListener("close", ({ wasClean, code }) => {
      if (wasClean && isOrderly(code)) this.#finish();
      else this.#fail(`the WebSocket was closed with code ${code}`);
    });
  }

  /** Copies what it takes: not every WebSocket has sent it when `send` returns. */
  write(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#isOver) throw this.#error ?? new Error("Cannot write: the WebSocket is closed");
    for (let at = 0; at < bytes.length; at += MAX_MESSAGE) {
      if (this.#socket.bufferedAmount > MOST_BUFFERED) {
        this.#timer ??= this.#lookAfter(FIRST_PAUSE);
        return at;
      }
      this.#socket.send(bytes.slice(at, at + MAX_MESSAGE));
    }
    return bytes.length;
  }

  closeWrite(): void {
    this.#socket.close();
  }

  /** What was written is sent before it closes. */
  get isDrained(): boolean {
    return true;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(most: number): void {
    this.#isPaused = false;
    this.#most = most;
    this.#tellSoon();
  }

  unacknowledged(): number {
    return 0;
  }

  silence(): number {
    return 0;
  }

  close(): void {
    this.#isTold = true;
    this.#queue = [];
    this.#fail("the WebSocket is closed");
  }

  reset(): void {
    this.close();
  }

  #take(data: unknown): void {
    if (this.#isOver) return;
    if (!(data instanceof ArrayBuffer)) return this.#fail("Cannot read: the message is text, where bytes belong");
    if (data.byteLength > 0) this.#queue.push(new Uint8Array(data));
    this.#tell();
  }

  #tellSoon(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#tell();
    });
  }

  /** Tells what there is, unless or until it is paused. */
  #tell(): void {
    while (!this.#isPaused && this.#queue.length > 0) {
      const first = this.#queue[0]!;
      const part = first.subarray(0, this.#most);
      if (part.length < first.length) this.#queue[0] = first.subarray(part.length);
      else this.#queue.shift();
      this.sink.readable(part);
    }
    if (this.#isPaused || !this.#isOver || this.#isTold) return;
    this.#isTold = true;
    if (this.#error) this.sink.lost(this.#error);
    else this.sink.ended();
  }

  #fail(reason: string): void {
    if (this.#isOver) return;
    this.#error = new Error(reason);
    this.#socket.close();
    this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const isAwaited = this.#timer !== undefined && !this.#isTold;
    clearTimeout(this.#timer);
    this.#tell();
    // Who waits for room is to find out, also when nobody reads.
    if (isAwaited && !this.#isTold) this.sink.writable();
  }

  /** Looks so many milliseconds later whether there is room again, and then ever less often. */
  #lookAfter(ms: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      const isFull = this.#socket.bufferedAmount > MOST_BUFFERED;
      this.#timer = isFull ? this.#lookAfter(Math.min(2 * ms, LONGEST_PAUSE)) : undefined;
      if (!isFull) this.sink.writable();
    }, ms);
  }
}
