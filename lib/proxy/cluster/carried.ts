import { NativeFlow } from "../../link/engine/native_flow.ts";
import { flowIn } from "../../link/flow.ts";
import { LINGER, type Link, writeAll } from "../../link/link.ts";
import { pump } from "../../link/relay.ts";

/** The largest read of what the owner sends, and about what the system takes of it that is not read, in bytes. */
const LARGEST_READ = 8 * 1024;
export const RECEIVE_BUFFER = 8 * 1024;
/** The most bytes that are between the owner's socket and the client's: the system takes up to twice what it is told. */
export const MOST_BETWEEN = 2 * RECEIVE_BUFFER + LARGEST_READ;

/**
 * A client's connection, carried to the owner of its session and back. What the owner closes is closed: the end of its stream
 * means, here, that it takes nothing any more either, for it ends its direction only after the last byte of a session.
 *
 * The client then has `LINGER` to take what is under way and to close too, and what it sends is forgotten: a close with bytes
 * unread would be a reset, which could overtake what the owner sent.
 *
 * The owner asks the client's socket itself how much is on its way: little is held here.
 */
export class Carried {
  readonly #client: Link;
  readonly #owner: Link;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  /** Owns both links. */
  constructor(client: Link, owner: Link) {
    this.#client = client;
    this.#owner = owner;
  }

  /** Carries until either end has closed; then both links are closed. Never rejects. */
  async run(): Promise<void> {
    const close = () => this.close();
    await Promise.all([this.#up().catch(close), this.#down().catch(close)]);
    close();
  }

  /** The owner has closed its end, which its stream cannot tell while the client takes nothing. */
  ownerClosed(): void {
    this.#deadline ??= setTimeout(() => this.close(), LINGER);
  }

  /** Closes both links at once. */
  close(): void {
    clearTimeout(this.#deadline);
    this.#client.close();
    this.#owner.close();
  }

  async #up(): Promise<void> {
    await pump(this.#client, (bytes) => this.#toOwner(bytes));
    if (this.#deadline === undefined) await this.#owner.closeWrite();
  }

  async #toOwner(bytes: Uint8Array): Promise<void> {
    try {
      if (this.#deadline === undefined) await writeAll(this.#owner, bytes);
    } catch (error) {
      if (this.#deadline === undefined) throw error;
    }
  }

  async #down(): Promise<void> {
    await pump(this.#owner, (bytes) => writeAll(this.#client, bytes), LARGEST_READ);
    this.ownerClosed();
    this.#owner.close();
    await this.#client.closeWrite();
  }
}

/** What a link is made of, where that is a socket of the system's: of one with TLS or a WebSocket on it, too. */
export function flowBelow(link: Link): NativeFlow | undefined {
  const flow = flowIn(link) ?? link.carriedBy;
  return flow instanceof NativeFlow ? flow : undefined;
}
