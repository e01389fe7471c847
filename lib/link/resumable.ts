import type { Session } from "../scp/mod.ts";
import { Condition } from "./condition.ts";
import { type Link, reasonOf, writeAll } from "./link.ts";

const NOTHING = new Uint8Array(0);

/** What a link brings from its handshake. */
export interface Attachment {
  /** Written before anything else: the answer, and what is to be sent again. */
  first: Uint8Array[];
  /** Bytes of the stream that came with the handshake. */
  rest: Uint8Array;
}

/** Hears why a link was lost, and whether it was an end of stream: the other end, or what stands between, closed it. */
export type OnLost = (reason: string, endOfStream: boolean) => void;

/**
 * A stream of bytes over links that come and go: one end of a session, the proxy's or the client's. It is used as a
 * link that does not break: while no link is attached, reads and writes wait.
 *
 * The rules that keep every byte (protocol: What a correct proxy must get right, 1 to 4) are kept here. What a read
 * brings is opened, and so counted, whatever became of the link meanwhile; what is written is sealed, and so counted and
 * cached, only when a link is there to take it, and counts as written even if that link then breaks; and a link is
 * replaced only when nothing reads from or writes to the old one.
 */
export class ResumableStream implements Link {
  readonly session: Session;
  readonly #onLost: OnLost;
  readonly #changed = new Condition();
  #link: Link | undefined;
  #rest = NOTHING as Uint8Array;
  #reading = false;
  /** A write, or the sending again, is under way. */
  #writing = false;
  /** Nothing more will be written. */
  #finished = false;
  #ended = false;
  #error: unknown;

  /** `onLost` is called each time the attached link is lost, or taken away; not when the stream ends. */
  constructor(session: Session, onLost: OnLost) {
    this.session = session;
    this.#onLost = onLost;
  }

  /** Whether a link is there. */
  get attached(): boolean {
    return this.#link !== undefined;
  }

  /** Whether `closeWrite` was called. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Whether `end` was called. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Takes the link away, if there is one, and waits until nothing reads from or writes to it: only then are the
   * session's counters final.
   */
  async detach(reason: string): Promise<void> {
    if (this.#link) this.#lose(this.#link, reason);
    while (this.#reading || this.#writing) await this.#changed.wait();
  }

  /**
   * Goes on over `link`, which the stream owns from now on. There must be no other, `detach` must have settled, and the
   * stream must not have ended. Settles when `first` is written or the link is lost, and says which; reads go on meanwhile.
   */
  async attach(link: Link, { first, rest }: Attachment): Promise<boolean> {
    this.#link = link;
    // An empty part of it would keep the whole buffer of the handshake.
    this.#rest = rest.length > 0 ? rest : NOTHING;
    return await this.#write(link, async () => {
      for (const bytes of first) await writeAll(link, bytes);
      if (this.#finished) await link.closeWrite();
    });
  }

  /**
   * As a link's; `null` when the stream has ended. Rejects with the error it ended with, if any.
   *
   * One function, as `write` is: each that awaited another would cost every message a turn, and every idle stream its memory.
   */
  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#ended) return this.#end();
      const link = this.#link;
      if (!link) {
        await this.#changed.wait();
        continue;
      }
      const rest = this.#takeRest(buffer);
      if (rest > 0) return this.#open(buffer, rest);
      this.#reading = true;
      try {
        const n = await link.read(buffer);
        if (n !== null) return this.#open(buffer, n);
        this.#lose(link, "closed by the peer", true);
      } catch (error) {
        this.#lose(link, reasonOf(error));
      } finally {
        this.#reading = false;
        this.#changed.notify();
      }
    }
  }

  /**
   * Writes all of `bytes`, and ciphers them in place: their content is lost. At most as many as the resend cache holds.
   * Settles when a link has taken them or was lost with them on it. Rejects when the stream has ended.
   */
  async write(bytes: Uint8Array): Promise<number> {
    for (;;) {
      if (this.#ended) throw this.#error === undefined ? new Error("Cannot write: the stream has ended") : this.#error;
      const link = this.#link;
      if (!link || this.#writing) {
        await this.#changed.wait();
        continue;
      }
      this.session.seal(bytes);
      this.#writing = true;
      try {
        for (let taken = 0; taken < bytes.length;) {
          taken += await link.write(taken === 0 ? bytes : bytes.subarray(taken));
        }
      } catch (error) {
        this.#lose(link, reasonOf(error));
      } finally {
        this.#writing = false;
        this.#changed.notify();
      }
      return bytes.length;
    }
  }

  /** No more will be written: ends our direction of this link, and of each that is attached after what it lacks is sent. */
  async closeWrite(): Promise<void> {
    this.#finished = true;
    while (this.#writing) await this.#changed.wait();
    const link = this.#link;
    if (link) await this.#write(link, () => link.closeWrite());
  }

  /** Ends the stream with the link it has; with an `error`, whatever it is, reads and writes reject with it. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#link?.close();
    this.#link = undefined;
    this.#changed.notify();
  }

  /** The same as `end()`. */
  close(): void {
    this.end();
  }

  #end(): null {
    if (this.#error !== undefined) throw this.#error;
    return null;
  }

  #open(buffer: Uint8Array, n: number): number {
    this.session.open(buffer.subarray(0, n));
    return n;
  }

  #takeRest(buffer: Uint8Array): number {
    const part = this.#rest.subarray(0, buffer.length);
    if (part.length === 0) return 0;
    buffer.set(part);
    this.#rest = part.length < this.#rest.length ? this.#rest.subarray(part.length) : NOTHING;
    return part.length;
  }

  /** Whether the link took it all. */
  async #write(link: Link, work: () => Promise<void>): Promise<boolean> {
    this.#writing = true;
    this.#changed.notify();
    try {
      await work();
      return true;
    } catch (error) {
      this.#lose(link, reasonOf(error));
      return false;
    } finally {
      this.#writing = false;
      this.#changed.notify();
    }
  }

  /** A link that has been replaced or taken away already cannot be lost again. */
  #lose(link: Link, reason: string, endOfStream = false): void {
    if (link !== this.#link) return;
    link.close();
    this.#link = undefined;
    this.#rest = NOTHING;
    this.#changed.notify();
    this.#onLost(reason, endOfStream);
  }
}
