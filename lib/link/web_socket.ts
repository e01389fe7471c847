// @ts-types="./ws.d.ts"
import type { WebSocket } from "ws";
import type { Carrier } from "./carrier.ts";
import { Condition } from "./condition.ts";
import { type ClientLink, type Endpoint, LINGER } from "./link.ts";

/** The longest message that is taken, in bytes: one is in memory whole before its first byte can be read. */
export const LONGEST_MESSAGE = 256 * 1024;
/**
 * The longest message that is sent: the other end has nothing of one before it is whole, so of a long one nothing at all
 * where connections do not live long.
 */
const LONGEST_SENT = 16 * 1024;
/** Bytes that nobody has read yet, from which on nothing more is taken from the network. */
const ENOUGH = 64 * 1024;
/** The same of messages: a tiny one takes a hundred times its own bytes. */
const MANY = 1024;

/** Close codes (RFC 6455, 7.4.1). */
const NORMAL = 1000;
const UNSUPPORTED_DATA = 1003;

/**
 * The server's end of a WebSocket, as a stream of bytes: binary messages of any cut. Reads and writes wait until it is `opened`.
 * While nobody reads, the network is held up.
 */
export class WebSocketLink implements ClientLink {
  remote: Endpoint;
  local: Endpoint;
  readonly #carrier: Carrier;
  readonly #onClose: () => void;
  readonly #changed = new Condition();
  #socket: WebSocket | undefined;
  /** What was not read yet. */
  readonly #received: Uint8Array[] = [];
  #unread = 0;
  #writing = false;
  #error: Error | undefined;
  #ended = false;
  #closed = false;
  /** Settles the write that is pending: a socket that is terminated may forget to. */
  #giveUp: (error: Error) => void = () => {};
  #pings: ReturnType<typeof setInterval> | undefined;
  /** Bytes came, or a write settled, since the last ping. */
  #heard = true;
  #taken = false;

  /** Owns the carrier. `onClose` is called once, when it is closed. */
  constructor(carrier: Carrier, onClose: () => void) {
    this.remote = carrier.remote;
    this.local = carrier.local;
    this.#carrier = carrier;
    this.#onClose = onClose;
    const { stream } = carrier;
    stream.on("error", (error) => this.#socket || this.fail(error));
    // Of a stream with a WebSocket on it there may still be messages that came before.
    stream.on("close", () => this.#socket || this.#end());
  }

  /**
   * Goes on over the WebSocket that was made on the stream. `pingInterval`: milliseconds between two pings, of which each finds
   * the link broken when not a byte came since the one before; 0: none. What is held up, at either end, is given its time.
   */
  opened(socket: WebSocket, pingInterval: number): void {
    this.#socket = socket;
    socket.on("message", (data, isBinary) => this.#take(data, isBinary));
    // Bytes, as a long message may take longer than an interval.
    this.#carrier.stream.on("data", () => this.#heard = true);
    socket.on("error", (error) => this.fail(error));
    socket.on("close", () => this.#end());
    if (pingInterval > 0) this.#pings = setInterval(() => this.#ping(socket, pingInterval), pingInterval);
    this.#changed.notify();
  }

  /**
   * Reads reject with why, and writes from now on; one that is pending still has its bytes. The other end is told by the caller:
   * `close` gives that time.
   */
  fail(error: Error): void {
    this.#error ??= error;
    this.#changed.notify();
  }

  /** The WebSocket, when it is open. */
  async ready(): Promise<WebSocket> {
    while (!this.#socket && !this.#error && !this.#ended) await this.#changed.wait();
    if (this.#error || this.#ended) throw this.#error ?? closed();
    return this.#socket!;
  }

  stopPings(): void {
    clearInterval(this.#pings);
  }

  get carriedBy(): Carrier["flow"] {
    return this.#carrier.flow;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#unread > 0) return this.#give(buffer);
      if (this.#error) throw this.#error;
      if (this.#ended) return null;
      this.#resume();
      await this.#changed.wait();
    }
  }

  async write(bytes: Uint8Array): Promise<number> {
    const socket = await this.ready();
    const message = bytes.subarray(0, LONGEST_SENT);
    this.#writing = true;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#giveUp = reject;
        socket.send(message, (error) => error ? reject(error) : resolve());
      });
    } finally {
      this.#writing = false;
      this.#taken = true;
    }
    return message.length;
  }

  /** WebSockets know no half-close: the other end answers with its own end. */
  async closeWrite(): Promise<void> {
    (await this.ready()).close(NORMAL);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Who was refused is told why, unless it takes nothing any more.
    if (this.#error && !this.#writing && !this.#carrier.stream.destroyed) this.#linger();
    else {
      this.#terminate();
      this.#onClose();
    }
    this.#error ??= closed();
    this.#received.length = 0;
    this.#unread = 0;
    this.#end();
  }

  #linger(): void {
    const deadline = setTimeout(() => this.#terminate(), LINGER);
    this.#carrier.stream.once("close", () => {
      clearTimeout(deadline);
      this.#onClose();
    });
    this.#resume();
  }

  #resume(): void {
    if (!this.#socket?.isPaused) return;
    // What was sent meanwhile comes only now.
    this.#heard = true;
    this.#socket.resume();
  }

  #terminate(): void {
    this.#socket?.terminate();
    this.#carrier.destroy();
  }

  #take(data: Uint8Array, isBinary: boolean): void {
    // Empty ones would pile up: nothing of them is ever read.
    if (this.#error || (isBinary && data.length === 0)) return;
    if (!isBinary) {
      this.#socket!.close(UNSUPPORTED_DATA, "binary messages only");
      return this.fail(new Error("a text message, where SCP takes binary ones"));
    }
    this.#received.push(data);
    this.#unread += data.length;
    if (this.#unread >= ENOUGH || this.#received.length >= MANY) this.#socket!.pause();
    this.#changed.notify();
  }

  #give(buffer: Uint8Array): number {
    let given = 0;
    while (given < buffer.length && this.#received.length > 0) {
      const first = this.#received[0]!;
      const part = first.subarray(0, buffer.length - given);
      buffer.set(part, given);
      given += part.length;
      if (part.length < first.length) this.#received[0] = first.subarray(part.length);
      else this.#received.shift();
    }
    this.#unread -= given;
    return given;
  }

  #ping(socket: WebSocket, interval: number): void {
    // Of a link that is held up nothing can be heard, and where little is taken of much the answer waits behind that.
    const isHeldUp = socket.isPaused || (this.#writing && this.#taken);
    if (!this.#heard && !isHeldUp) {
      this.fail(new Error(`nothing came for ${interval} ms (ping_interval)`));
      return socket.terminate();
    }
    this.#heard = this.#taken = false;
    socket.ping();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#pings);
    this.#giveUp(this.#error ?? closed());
    this.#changed.notify();
  }
}

function closed(): Error {
  return new Error("the connection is closed");
}
