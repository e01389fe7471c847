import { formatEndpoint, LINGER, reasonOf, writeAll } from "../../link/link.ts";
import { pump } from "../../link/relay.ts";
import type { TcpLink } from "../../link/tcp.ts";
import type { Fields, Log } from "../../log.ts";
import { Connection, type ConnectionOptions } from "../../client/connection.ts";

/** One local connection, and the session that carries it. */
export class Carriage {
  readonly #local: TcpLink;
  readonly #linger: number;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #connection: Connection | undefined;
  /** The local program sends no more, and the session has all it sent. */
  #inputEnded = false;
  /** The local program takes no more. */
  #gone = false;
  /** The session's link is there. */
  #linked = true;
  /** The backend is waited for. */
  #listening = false;
  #finished = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Owns `local`. `linger`: see `BridgeOptions`. */
  constructor(local: TcpLink, linger: number, log: Log) {
    this.#local = local;
    this.#linger = linger;
    this.#log = log;
  }

  /** Settles when both the session and the local connection are closed. Never rejects. */
  async run(options: ConnectionOptions): Promise<void> {
    try {
      this.#connection = await this.#open(options);
    } catch (error) {
      this.#local.reset();
      return this.#tell("warning", "failed", { reason: this.#reason(reasonOf(error)) });
    }
    const connection = this.#connection;
    if (this.#stopping.signal.aborted) connection.close();
    this.#tell("info", "begun");
    const sent = this.#send(connection, options.cacheSize);
    try {
      await pump({ read: (buffer) => this.#listen(connection, buffer) }, (bytes) => this.#deliver(bytes));
      this.#tell("info", "ended", { reason: this.#reason("the backend ended it") });
    } catch (error) {
      this.#tell("warning", "ended", { reason: `lost for good: ${reasonOf(error)}` });
      // Nobody knows what of the stream is missing: that must not look like its end.
      this.#local.reset();
    }
    await this.#closeLocal(sent);
  }

  /** Ends the session at this end and resets the local connection, at once. */
  stop(): void {
    this.#stopping.abort();
    this.#connection?.close();
    this.#local.reset();
  }

  #open(options: ConnectionOptions): Promise<Connection> {
    return Connection.open({
      ...options,
      signal: this.#stopping.signal,
      onLost: (reason) => {
        this.#linked = false;
        this.#watch();
        if (!this.#finished) this.#tell("info", "lost", { reason });
      },
      onResumed: ({ gap, attempts, resent }) => {
        this.#linked = true;
        this.#watch();
        this.#tell("info", "resumed", { gap_ms: Math.round(gap), attempts, resent });
      },
    });
  }

  /** Until the local program ends its direction. What it sends after the session has ended is forgotten. */
  async #send(connection: Connection, most?: number): Promise<void> {
    try {
      await pump(this.#local, (bytes) => connection.write(bytes).catch(() => {}), most);
    } catch {
      this.#gone = true;
    }
    this.#inputEnded = true;
    this.#watch();
  }

  async #listen(connection: Connection, buffer: Uint8Array): Promise<number | null> {
    this.#listening = true;
    this.#watch();
    try {
      return await connection.read(buffer);
    } finally {
      this.#listening = false;
      this.#watch();
    }
  }

  /** What the backend sends to a local program that is gone is forgotten. */
  async #deliver(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(this.#local, bytes);
    } catch {
      this.#gone = true;
      this.#watch();
    }
  }

  /**
   * Ends the session once nobody is served by it any more: the local program has ended its direction, and is gone or the
   * backend is quiet. Time in which the backend could not be heard does not count. Ended it is by `closeWrite`, before
   * which the proxy gets all that it still lacks.
   */
  #watch(): void {
    clearTimeout(this.#timer);
    if (!this.#inputEnded || this.#finished) return;
    const finish = () => {
      this.#finished = true;
      void this.#connection?.closeWrite();
    };
    if (this.#gone) finish();
    else if (this.#listening && this.#linked) this.#timer = setTimeout(finish, this.#linger);
  }

  /** The session is over. A local program that is there gets all that was delivered, and some time to end its direction. */
  async #closeLocal(sent: Promise<void>): Promise<void> {
    this.#finished = true;
    clearTimeout(this.#timer);
    if (!this.#gone) {
      const deadline = setTimeout(() => this.#local.close(), LINGER);
      await this.#local.closeWrite().catch(() => {}); // it is gone: its reader says so
      await sent;
      clearTimeout(deadline);
    }
    this.#local.close();
    await sent;
  }

  #reason(otherwise: string): string {
    if (this.#stopping.signal.aborted) return "the bridge was stopped";
    return this.#finished ? "the local program ended it" : otherwise;
  }

  #tell(level: "info" | "warning", what: string, fields: Fields = {}): void {
    const client = formatEndpoint(this.#local.remote);
    this.#log[level](`bridge session ${what}`, {
      id: this.#connection?.id,
      client,
      ...this.#connection?.bytes,
      ...fields,
    });
  }
}
