import { reasonOf } from "../link/link.ts";
import type { Connection, ConnectionOptions, Resumption } from "./connection.ts";
import type { Dialling } from "./dialers.ts";
import { onNetworkBack } from "./network_back.ts";
import { SessionEndedError } from "./session_ended_error.ts";

/** Bytes read at once, and bytes written at once. */
const READ_SIZE = 16 * 1024;
const WRITE_SIZE = 64 * 1024;

export interface ConnectOptions
  extends Omit<ConnectionOptions, "dial" | "dialUrl" | "signal" | "onLost" | "onResumed" | "onClosed"> {
  /** Aborted before the session is open: `connect` rejects with its reason. After that: the session ends with it. */
  signal?: AbortSignal;
}

/** The events of a `ResumableConnection`. */
export interface ConnectionEvents {
  /** The link was lost; it is being resumed. */
  lost: CustomEvent<{ reason: string }>;
  /** Another link has taken its place. */
  resumed: CustomEvent<Resumption>;
  /**
   * The session is over. Without a reason: it came to its end in order, or was closed at this end. `code`: that of the
   * `SessionEndedError`.
   */
  closed: CustomEvent<{ reason?: string; code?: number }>;
}

/** The typed form of what every event target has. */
export interface ResumableConnection {
  addEventListener<K extends keyof ConnectionEvents>(
    kind: K,
    listener: (event: ConnectionEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    kind: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/**
 * A duplex stream of bytes to a backend behind an SCP proxy, which outlives the connections that carry it. Events `lost`
 * and `resumed` tell of these, and `closed` of the end; the streams do not notice a loss.
 *
 * A link that is dead is replaced: in version 2 of the protocol it is asked now and then whether it is alive, see
 * `ConnectOptions.pingInterval`; in version 1 see `ConnectOptions.silence`. In a browser it tries to resume at once when the network is
 * back, also when a link is there (see `retryNow`), or, without a link, when the page is looked at again.
 */
export class ResumableConnection extends EventTarget {
  /**
   * What the backend sends. In version 2 of the protocol what nobody reads waits here, in `ConnectOptions.window` at most: then the
   * backend is held up. In version 1 it is read from the network only as it is read here, but for one chunk ahead; over a WebSocket,
   * which cannot be held up, it waits in memory, however much it is. Closes when the backend has ended its direction, or the session
   * has come to its end; errors when that is lost for good, after all that came before.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * What the backend gets. Chunks are copied. Closing it ends this direction, and `readable` goes on; in version 1, which has no
   * half-close, it ends the session. Aborting it ends the session, in version 2 so that the backend can tell that from an end.
   */
  readonly writable: WritableStream<Uint8Array>;
  /**
   * Settles when the session has ended; rejects with why when it was lost for good, in version 2 with a `SessionEndedError` and its
   * code.
   */
  readonly closed: Promise<void>;
  #connection!: Connection;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };
  #reading!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  #writing!: WritableStreamDefaultController;
  #cancelled = false;
  #ended = false;
  /** Undone at the end. */
  readonly #cleanUp: (() => void)[] = [];

  /** `opened`: settles when there is a connection to read from. */
  private constructor(writeSize: number, opened: Promise<void>) {
    super();
    this.closed = new Promise((resolve, reject) => this.#settle = { resolve, reject });
    this.closed.catch(() => {}); // also told by the streams
    this.readable = new ReadableStream({
      start: (controller) => {
        this.#reading = controller;
        return opened;
      },
      pull: () => this.#read(),
      cancel: () => {
        this.#cancelled = true;
        this.close();
      },
    });
    this.writable = new WritableStream({
      start: (controller) => void (this.#writing = controller),
      write: (chunk) => this.#write(chunk, writeSize),
      close: () => this.#connection.closeWrite(),
      abort: () => this.#connection.reset(),
    });
  }

  /**
   * Opens a session over the links that are dialled so, with `open`. Rejects as `connect` does.
   *
   * @internal
   */
  static async open<D>(
    dialling: Dialling<D>,
    options: ConnectOptions,
    open: (options: ConnectionOptions<D>) => Promise<Connection>,
  ): Promise<ResumableConnection> {
    const { signal, cacheSize = WRITE_SIZE } = options;
    let begin = () => {};
    const opened = new Promise<void>((resolve) => begin = resolve);
    const self = new ResumableConnection(Math.min(cacheSize, WRITE_SIZE), opened);
    self.#connection = await open({
      ...options,
      ...dialling,
      onLost: (reason) => self.dispatchEvent(new CustomEvent("lost", { detail: { reason } })),
      onResumed: (detail) => self.dispatchEvent(new CustomEvent("resumed", { detail })),
      onClosed: (error) => self.#end(error),
    });
    self.#watch(signal);
    begin();
    signal?.throwIfAborted();
    return self;
  }

  /** The session's id. */
  get id(): number {
    return this.#connection.id;
  }

  /** The version of the protocol that it speaks. */
  get version(): 1 | 2 {
    return this.#connection.version;
  }

  /** Calls `listener` at each event of that kind. */
  on<K extends keyof ConnectionEvents>(kind: K, listener: (event: ConnectionEvents[K]) => void): void {
    this.addEventListener(kind, listener);
  }

  /**
   * Tries to resume at once, also when a link is there: another one takes its place, unless something comes over it meanwhile or, in
   * version 1, nobody reads. What is under way is sent again: in version 1, as at any loss, `cacheSize` must hold it. To be called
   * when the network may be back or have changed, where nothing else tells.
   */
  retryNow(): void {
    this.#connection.retryNow();
  }

  /** Drops the connection below, as a broken network would; it is resumed. */
  cut(): void {
    this.#connection.cut();
  }

  /**
   * Ends the session, at once: reads and writes end here. In version 2 at both ends: the backend sees an end when it has consumed all
   * that was written, and else a reset, so close `writable` first, and read to the end, where everything is to arrive; without a link
   * one more is tried for, for 5 seconds at most, to say so, and `closed` settles after that. In version 1 the proxy keeps its end
   * until its `reuse_time` is over.
   */
  close(): void {
    this.#connection.close();
  }

  #watch(signal: AbortSignal | undefined): void {
    if (this.#ended) return;
    const [onOnline, onVisible] = [() => this.retryNow(), () => this.#connection.hurry()];
    this.#cleanUp.push(onNetworkBack({ onOnline, onVisible }));
    const abort = () => this.#connection.close(signal?.reason);
    signal?.addEventListener("abort", abort);
    this.#cleanUp.push(() => signal?.removeEventListener("abort", abort));
    if (signal?.aborted) abort();
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(READ_SIZE);
    const n = await this.#connection.read(buffer);
    if (this.#cancelled) return;
    if (n === null) return this.#reading.close();
    // A chunk that is kept must not keep a buffer that is much larger.
    this.#reading.enqueue(n < READ_SIZE / 2 ? buffer.slice(0, n) : buffer.subarray(0, n));
  }

  async #write(chunk: Uint8Array, most: number): Promise<void> {
    for (let at = 0; at < chunk.length; at += most) await this.#connection.write(chunk.slice(at, at + most));
  }

  #end(error: unknown): void {
    this.#ended = true;
    for (const undo of this.#cleanUp) undo();
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
    this.#writing.error(error === undefined ? new Error("Cannot write: the session has ended") : error);
    const code = error instanceof SessionEndedError ? { code: error.code } : {};
    const detail = error === undefined ? {} : { reason: reasonOf(error), ...code };
    this.dispatchEvent(new CustomEvent("closed", { detail }));
  }
}
