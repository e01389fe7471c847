import { FlowLink } from "../../link/flow_link.ts";
import { ResumableStream } from "../../link/resumable.ts";
import { request } from "../../scp/handshake.ts";
import { Session } from "../../scp/session.ts";
import type { Bytes, Connection } from "../connection.ts";
import { CACHE_SIZE, type FlowingOptions } from "../connection_options.ts";
import { exchange, type Exchanged, randomKey, refusalIn } from "../exchange.ts";
import type { OpenedInVersion1 } from "../v2/opening.ts";
import { Resumer } from "./resumer.ts";

/** A session of version 1 that is begun, and the link that it was begun over. */
export interface Opened extends Pick<Exchanged, "link" | "rest"> {
  session: Session;
}

/**
 * The client's end of a session of version 1. It is a read or a write that learns of the loss of the link: while there is neither,
 * what was written before may not arrive.
 */
export class Version1Connection implements Connection {
  readonly version = 1;
  readonly #options: FlowingOptions;
  readonly #stream: ResumableStream;
  readonly #link: FlowLink;
  readonly #resumer: Resumer;
  #closed = false;

  /** Owns the link. */
  constructor({ session, link, rest }: Opened, options: FlowingOptions) {
    this.#options = options;
    this.#stream = new ResumableStream(session, (reason, endOfStream) => this.#resumer.lost(reason, endOfStream));
    this.#link = new FlowLink(this.#stream);
    this.#resumer = new Resumer(this.#stream, options, (error) => this.#end(error));
    this.#stream.attach(link.flow, { first: [], from: 0, rest });
  }

  /** Opens a session. Rejects with an `ScpError` when the proxy refuses, or with why it could not be reached. */
  static async open(options: FlowingOptions): Promise<Version1Connection> {
    const { target = "", flag = 0, dialect = "goscon", cacheSize = CACHE_SIZE } = options;
    const hello = request({ privateKey: randomKey(), target, flag, dialect, cacheSize });
    const { link, content, rest } = await exchange(() => hello.record, options, options.signal);
    try {
      return new Version1Connection({ session: hello.finish(content), link, rest }, options);
    } catch (error) {
      link.close();
      throw refusalIn(content) ?? error;
    }
  }

  /** Goes on with a session for which version 2 was asked in vain. */
  static begin({ version1, link, rest }: OpenedInVersion1, options: FlowingOptions): Version1Connection {
    const session = new Session({ ...version1, cacheSize: options.cacheSize ?? CACHE_SIZE });
    return new Version1Connection({ session, link, rest }, options);
  }

  get id(): number {
    return this.#stream.session.id;
  }

  get bytes(): Bytes {
    const { received, sent } = this.#stream.session;
    return { received, sent };
  }

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

  close(error?: unknown): void {
    this.#end(error);
  }

  reset(): void {
    this.#end();
  }

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
