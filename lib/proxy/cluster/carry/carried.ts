import { SocketFlow } from "../../../link/engine/socket_flow.ts";
import { type Flow, flowIn, type Sink } from "../../../link/flow.ts";
import { LINGER, type Link } from "../../../link/link.ts";
import { LARGEST_READ } from "../../../link/relay.ts";
import { AckWatch } from "../../session/ack_watch.ts";
import { PROVEN } from "./letter.ts";
import type { HeldUp } from "../../session/in_flight.ts";

/**
 * How much is held between the owner's socket and the client's. `receiveBuffer`: about what the system takes of it that is not read,
 * which is up to twice what it is told, or as much as it sees fit. `read`: the largest read.
 */
export interface Hold {
  receiveBuffer: number | undefined;
  read: number;
}

/** Inside a process; and between two for a session of version 1, of which all that is on its way must be held by the owner. */
export const LITTLE: Hold = { receiveBuffer: 8 * 1024, read: 8 * 1024 };
export const SOME: Hold = { receiveBuffer: 32 * 1024, read: 16 * 1024 };
/** Between two processes for a session that counts what arrives. */
export const MUCH: Hold = { receiveBuffer: undefined, read: LARGEST_READ };

/** The most bytes that this is. */
export function mostHeld({ receiveBuffer = 0, read }: Hold): number {
  return 2 * receiveBuffer + read;
}

const NOTHING = new Uint8Array(0);

export interface CarriedOptions {
  /** Bytes that came from the owner already. */
  rest: Uint8Array;
  hold: Hold;
  /** The most bytes that may be on their way to the client; missing: as many as its system takes. */
  bound?: number;
  /** What the owner waits for before the client's bytes: that its address is proven. */
  proof?: Promise<void>;
  /** Asks, until it goes on, one that waits because they are more. */
  holdUp: (carried: HeldUp) => void;
}

/**
 * A client's connection, carried to the owner of its session and back. What the owner closes is closed: the end of its stream
 * means, here, that it takes nothing any more either, for it ends its direction only after the last byte of a session.
 *
 * The client then has `LINGER` to take what is under way and to close too, and what it sends is forgotten: a close with bytes
 * unread would be a reset, which could overtake what the owner sent.
 */
export class Carried implements HeldUp {
  readonly #client: Flow;
  readonly #owner: Flow;
  readonly #options: CarriedOptions;
  readonly #up: Half;
  readonly #down: Half;
  readonly #acks = new AckWatch();
  readonly #closed = Promise.withResolvers<void>();
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  #isCrowded = false;

  /** Owns both, of which nobody else hears any more. */
  constructor(client: Flow, owner: Flow, options: CarriedOptions) {
    this.#client = client;
    this.#owner = owner;
    this.#options = options;
    this.#up = new Half(client, owner, LARGEST_READ, () => this.#clientEnded());
    this.#down = new Half(owner, client, options.hold.read, () => this.#ownerEnded());
    client.sink = this.#sink((bytes) => this.#fromClient(bytes), this.#up, this.#down);
    owner.sink = this.#sink((bytes) => this.#fromOwner(bytes), this.#down, this.#up);
  }

  /** Carries until either end has closed; then both are closed. Never rejects. */
  run(): Promise<void> {
    // It may be closed already, which nobody is told.
    this.#guard(() => void this.#client.write(NOTHING));
    const { rest, proof } = this.#options;
    if (!proof) this.#up.goOn();
    else proof.then(() => this.#guard(() => this.#proven()), () => this.close());
    if (rest.length === 0) this.#down.goOn();
    // The client's sink may not be called in the middle of what the caller does.
    else queueMicrotask(() => this.#guard(() => this.#begin(rest.slice())));
    return this.#closed.promise;
  }

  /** The owner has closed its end, which its stream cannot tell while the client takes nothing. */
  ownerClosed(): void {
    if (!this.#isClosed) this.#deadline ??= setTimeout(() => this.close(), LINGER);
  }

  /** Closes both at once. */
  close(): void {
    clearTimeout(this.#deadline);
    this.#isClosed = true;
    this.#client.close();
    this.#owner.close();
    this.#closed.resolve();
  }

  /**
   * Closes both when the client is gone, and what is on its way to it will never arrive: its owner knows only of this end. `timeout`:
   * milliseconds, 0: never. To be called about once a second; `now`: milliseconds, from any start.
   */
  look(timeout: number, now: number): void {
    if (this.#acks.isGone(this.#client, this.#down.written, timeout, now)) this.close();
  }

  /** See `HeldUp`. */
  goOn(): boolean {
    if (!this.#isClosed && this.#hasTooMuchUnderWay()) return false;
    this.#isCrowded = false;
    if (!this.#isClosed) this.#down.goOn();
    return true;
  }

  #proven(): void {
    if (this.#isClosed) return;
    this.#up.readable(PROVEN);
    this.#up.goOn();
  }

  #begin(rest: Uint8Array<ArrayBuffer>): void {
    if (this.#isClosed) return;
    this.#fromOwner(rest);
    if (!this.#isCrowded) this.#down.goOn();
  }

  #fromClient(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#deadline === undefined) this.#up.readable(bytes);
  }

  /** Of what follows nothing is read while too much of this is on its way: the owner must be able to send all of it again. */
  #fromOwner(bytes: Uint8Array<ArrayBuffer>): void {
    this.#down.readable(bytes);
    if (this.#isCrowded || !this.#hasTooMuchUnderWay()) return;
    this.#isCrowded = true;
    this.#owner.pause();
    this.#options.holdUp(this);
  }

  #hasTooMuchUnderWay(): boolean {
    const { bound } = this.#options;
    return bound !== undefined && this.#client.unacknowledged() > bound;
  }

  #clientEnded(): void {
    if (this.#deadline === undefined) this.#owner.closeWrite();
    else this.#closeIfDone();
  }

  #ownerEnded(): void {
    this.ownerClosed();
    this.#owner.close();
    this.#client.closeWrite();
    this.#closeIfDone();
  }

  /** What was written to the client last is its system's, and it has ended too: nobody is waited for. */
  #closeIfDone(): void {
    if (this.#deadline !== undefined && this.#up.hasEnded && this.#client.isDrained) this.close();
  }

  /** What hears of one of both: `from` is read from it, and `to` is written to it. */
  #sink(readable: (bytes: Uint8Array<ArrayBuffer>) => void, from: Half, to: Half): Sink {
    return {
      readable: (bytes) => this.#guard(() => readable(bytes)),
      writable: () =>
        this.#guard(() => {
          to.writable(to === this.#down && this.#isCrowded);
          this.#closeIfDone();
        }),
      ended: () => this.#guard(() => from.ended()),
      lost: () => this.close(),
    };
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch {
      this.close(); // it broke, which is nothing to be told
    }
  }
}

/** One direction. */
class Half {
  hasEnded = false;
  /** How many bytes were. */
  written = 0;
  readonly #from: Flow;
  readonly #to: Flow;
  readonly #most: number;
  readonly #onEnd: () => void;
  /** What could not be written yet. */
  #held: Uint8Array<ArrayBuffer> | undefined;

  /** `most`: the largest read. `onEnd` is called when all has been written that came before the end. */
  constructor(from: Flow, to: Flow, most: number, onEnd: () => void) {
    this.#from = from;
    this.#to = to;
    this.#most = most;
    this.#onEnd = onEnd;
  }

  goOn(): void {
    if (!this.#held && !this.hasEnded) this.#from.resume(this.#most);
  }

  readable(bytes: Uint8Array<ArrayBuffer>): void {
    const n = this.#to.write(bytes);
    this.written += n;
    if (n === bytes.length) return;
    this.#held = bytes.slice(n);
    this.#from.pause();
  }

  /** There is room again. `waits`: nothing more is to be read now. */
  writable(waits: boolean): void {
    if (!this.#held) return;
    const n = this.#to.write(this.#held);
    this.written += n;
    this.#held = n < this.#held.length ? this.#held.subarray(n) : undefined;
    if (this.#held) return;
    if (this.hasEnded) this.#onEnd();
    else if (!waits) this.#from.resume(this.#most);
  }

  ended(): void {
    this.hasEnded = true;
    if (!this.#held) this.#onEnd();
  }
}

/** What a link is made of, where that is a socket of the system's: of one with TLS or a WebSocket on it, too. */
export function flowBelow(link: Link): SocketFlow | undefined {
  const flow = flowIn(link) ?? link.carriedBy;
  return flow instanceof SocketFlow ? flow : undefined;
}
