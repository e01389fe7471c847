import { parseAddress } from "../config.ts";
import { dial } from "../link/dial.ts";
import { Connection, type ConnectionOptions, type Resumption } from "./connection.ts";

/** Bytes asked for at once by the readable stream. */
const READ_SIZE = 16 * 1024;
const DEFAULT_HANDSHAKE_TIMEOUT = 10_000;

export interface ConnectOptions extends Omit<ConnectionOptions, "dial" | "onLost" | "onResumed" | "onClosed"> {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  addr: string;
}

/** The events of a `ResumableConnection`. */
export interface ConnectionEvents {
  /** The link was lost; it is being resumed. */
  lost: CustomEvent<{ reason: string }>;
  /** Another link has taken its place. */
  resumed: CustomEvent<Resumption>;
}

/**
 * A duplex stream of bytes to a backend behind an SCP proxy, which outlives the connections that carry it. Events `lost`
 * and `resumed` tell of these; the streams do not notice.
 */
export class ResumableConnection extends EventTarget {
  /** What the backend sends. Closes when the session comes to its end, errors when it is lost for good. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What the backend gets. Chunks are copied. Closing it ends the session: SCP has no half-close. */
  readonly writable: WritableStream<Uint8Array>;
  /** Settles when the session has ended; rejects with why when it was lost for good. */
  readonly closed: Promise<void>;
  #connection!: Connection;

  private constructor(options: ConnectOptions, closed: Promise<void>) {
    super();
    const { cacheSize = 2 ** 20 } = options;
    this.closed = closed;
    this.closed.catch(() => {}); // also told by the streams
    this.readable = new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: READ_SIZE,
      pull: (controller) => this.#pull(controller.byobRequest!, () => controller.close()),
      cancel: () => this.close(),
    });
    this.writable = new WritableStream({
      write: async (chunk) => {
        const most = Math.min(cacheSize, 4 * READ_SIZE);
        for (let at = 0; at < chunk.length; at += most) await this.#connection.write(chunk.slice(at, at + most));
      },
      close: () => this.#connection.closeWrite(),
      abort: () => this.close(),
    });
  }

  /** See `connect`. */
  static async open(options: ConnectOptions): Promise<ResumableConnection> {
    const address = parseAddress(options.addr);
    if (address.kind === "builtin") throw new Error(`Cannot connect to ${options.addr}: it is not an address`);
    const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
    const self = new ResumableConnection(options, closed);
    const timeout = options.handshakeTimeout ?? DEFAULT_HANDSHAKE_TIMEOUT;
    self.#connection = await Connection.open({
      ...options,
      dial: (signal) => dial(address, { timeout, keepAlive: true, signal }),
      onLost: (reason) => self.dispatchEvent(new CustomEvent("lost", { detail: { reason } })),
      onResumed: (detail) => self.dispatchEvent(new CustomEvent("resumed", { detail })),
      onClosed: (error) => error ? reject(error) : resolve(),
    });
    return self;
  }

  /** The session's id. */
  get id(): number {
    return this.#connection.id;
  }

  /** Calls `listener` at each event of that kind. */
  on<K extends keyof ConnectionEvents>(kind: K, listener: (event: ConnectionEvents[K]) => void): void {
    this.addEventListener(kind, listener as EventListener);
  }

  /** Drops the connection below, as a broken network would; it is resumed. */
  cut(): Promise<void> {
    return this.#connection.cut();
  }

  /** Ends the session at this end, at once. The proxy keeps its end until its `reuse_time` is over. */
  close(): void {
    this.#connection.close();
  }

  async #pull(request: ReadableStreamBYOBRequest, close: () => void): Promise<void> {
    const n = await this.#connection.read(request.view as Uint8Array);
    if (n === null) close();
    request.respond(n ?? 0);
  }
}

/**
 * Opens a session with an SCP proxy. Rejects with an `ScpError` when the proxy refuses, or with why it cannot be reached.
 *
 * ```ts
 * const connection = await connect({ addr: "127.0.0.1:1248" });
 * const writer = connection.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * for await (const bytes of connection.readable) console.log(bytes);
 * ```
 */
export function connect(options: ConnectOptions): Promise<ResumableConnection> {
  return ResumableConnection.open(options);
}
