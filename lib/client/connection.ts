import { FlowLink } from "../link/flow_link.ts";
import type { Link } from "../link/link.ts";
import { ResumableStream } from "../link/resumable.ts";
import { request, type Session } from "../scp/mod.ts";
import { CACHE_SIZE, type ConnectionOptions } from "./connection_options.ts";
import { exchange, randomKey, refusalIn } from "./exchange.ts";
import type { Bytes } from "./link_history.ts";
import { Resumer } from "./resumer.ts";

export type { ConnectionOptions, Resumption } from "./connection_options.ts";

/**
 * The client's end of a session. It is a link that does not break: when the one below does, it dials and resumes by
 * itself, and reads and writes wait meanwhile. It is a read or a write that learns of the loss: while there is neither,
 * what was written before may not arrive.
 */
export class Connection implements Link {
  readonly #options: ConnectionOptions;
  readonly #stream: ResumableStream;
  readonly #link: FlowLink;
  readonly #resumer: Resumer;
  #closed = false;

  private constructor(session: Session, options: ConnectionOptions) {
    this.#options = options;
    this.#stream = new ResumableStream(session, (reason, endOfStream) => this.#resumer.lost(reason, endOfStream));
    this.#link = new FlowLink(this.#stream);
    this.#resumer = new Resumer(this.#stream, options, (error) => this.#end(error));
  }

  /** Opens a session. Rejects with an `ScpError` when the proxy refuses, or with why it could not be reached. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const { target = "", flag = 0, dialect = "goscon", cacheSize = CACHE_SIZE } = options;
    const hello = request({ privateKey: randomKey(), target, flag, dialect, cacheSize });
    const { link, content, rest } = await exchange(() => hello.record, options, options.signal);
    try {
      const connection = new Connection(hello.finish(content), options);
      connection.#stream.attach(link, { first: [], from: 0, rest });
      return connection;
    } catch (error) {
      link.close();
      throw refusalIn(content) ?? error;
    }
  }

  /** The session's id. */
  get id(): number {
    return this.#stream.session.id;
  }

  /** Bytes received and sent in this session. */
  get bytes(): Bytes {
    const { received, sent } = this.#stream.session;
    return { received, sent };
  }

  /** As a link's. Rejects with why the session was lost for good; `null` when it came to its end in order. */
  read(buffer: Uint8Array): Promise<number | null> {
    return this.#link.read(buffer);
  }

  /** Writes all of `bytes`, and ciphers them in place: their content is lost. At most as many as the cache holds. */
  write(bytes: Uint8Array): Promise<number> {
    this.#resumer.silence.writing();
    return this.#link.write(bytes);
  }

  /**
   * Nothing more will be written. SCP has no way to say so but to end the link's direction, which the proxy takes for
   * a lost client: so this ends the session, once the proxy has closed the link too.
   */
  closeWrite(): Promise<void> {
    this.#resumer.silence.writing();
    return this.#link.closeWrite();
  }

  /** Ends the session at this end, at once; with an `error`, whatever it is, reads and writes reject with it. */
  close(error?: unknown): void {
    this.#end(error);
  }

  /**
   * The network may be back: a session without a link tries to resume at once, whether it pauses or waits for an answer,
   * and its pauses begin with the shortest again. A link that is there is left alone.
   */
  hurry(): void {
    this.#resumer.hurry();
  }

  /**
   * The network may have changed: as `hurry`, and a link that is there is doubted. It is replaced, unless something comes over it
   * before another one is there; while nobody reads it is left alone, as what it holds could be lost for good. What is under way
   * over it is sent again: as at any loss, the session is lost when that is more than a cache holds.
   */
  retryNow(): void {
    this.#resumer.hurry();
    if (this.#stream.isAttached && !this.#stream.isPaused) this.#resumer.replace("the network may have changed");
  }

  /** Drops the link below as a broken network would; for tests of what is built on it. */
  cut(): void {
    this.#stream.detach("cut");
  }

  #end(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#resumer.stop();
    this.#link.close(error);
    this.#options.onClosed?.(error);
  }
}
