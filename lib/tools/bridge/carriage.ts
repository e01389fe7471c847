import { formatEndpoint, reasonOf } from "../../link/link.ts";
import type { TcpLink } from "../../link/tcp.ts";
import type { Fields, Log } from "../../log.ts";
import { Connection, type ConnectionOptions } from "../../client/connection.ts";
import type { Ending, Relay } from "./relay.ts";
import { Version1Relay } from "./v1/relay.ts";
import { Version2Relay } from "./v2/relay.ts";

/** One local connection, and the session that carries it: it opens that, tells the log, and leaves the rest to a relay of its version. */
export class Carriage {
  readonly #local: TcpLink;
  readonly #linger: number;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #closed = Promise.withResolvers<unknown>();
  #connection: Connection | undefined;
  #relay: Relay | undefined;
  #isEnded = false;

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
      return this.#tell("warning", "failed", { reason: this.#stopped ?? reasonOf(error) });
    }
    const { version } = this.#connection;
    this.#relay = new (version === 1 ? Version1Relay : Version2Relay)({
      local: this.#local,
      connection: this.#connection,
      closed: this.#closed.promise,
      most: options.cacheSize,
      linger: this.#linger,
      onEnded: (ending) => this.#ended(ending),
    });
    if (this.#stopping.signal.aborted) this.#relay.stop();
    this.#tell("info", "begun", { version });
    await this.#relay.run();
  }

  /** Ends the session at this end and resets the local connection, at once. */
  stop(): void {
    this.#stopping.abort();
    if (this.#relay) this.#relay.stop();
    else this.#local.reset();
  }

  #open(options: ConnectionOptions): Promise<Connection> {
    return Connection.open({
      ...options,
      signal: this.#stopping.signal,
      onLost: (reason) => {
        this.#relay?.linked(false);
        if (!this.#isEnded) this.#tell("info", "lost", { reason });
      },
      onResumed: ({ gap, attempts, resent }) => {
        this.#relay?.linked(true);
        this.#tell("info", "resumed", { gap_ms: Math.round(gap), attempts, resent });
      },
      onClosed: this.#closed.resolve,
    });
  }

  #ended({ reason, code, isLoss }: Ending): void {
    this.#isEnded = true;
    const stopped = this.#stopped;
    const level = isLoss && stopped === undefined ? "warning" : "info";
    this.#tell(level, "ended", { ...(code !== undefined && { code }), reason: stopped ?? reason });
  }

  get #stopped(): string | undefined {
    return this.#stopping.signal.aborted ? "the bridge was stopped" : undefined;
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
