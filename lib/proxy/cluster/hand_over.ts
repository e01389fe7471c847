import { dial } from "../../link/dial.ts";
import {
  type AcceptedLink,
  type Engine,
  isMovable,
  type Listening,
  type MovableLink,
} from "../../link/engine/engine.ts";
import { type ClientLink, type Endpoint, formatEndpoint, type Link, reasonOf } from "../../link/link.ts";
import type { Log } from "../../log.ts";
import { ScpError } from "../../scp/mod.ts";
import type { Carry, Preface } from "../seams.ts";
import { Carried, flowBelow, MOST_BETWEEN, RECEIVE_BUFFER } from "./carried.ts";
import { type Letter, readLetter, writeLetter } from "./letter.ts";
import type { Offers } from "./offers.ts";

/** Milliseconds to reach a peer in. */
const DIAL_TIMEOUT = 5000;
/** Milliseconds for it to take what it is offered: it is hung then. */
const OFFER_TIMEOUT = 5000;
/** The last number before they begin anew. */
const LAST = 2 ** 31 - 1;

/** Takes a connection of a client that a peer has, and owns it. `read` gives what the peer says of it, and bytes that came then. */
export type TakeOver = (link: ClientLink, read: () => Promise<{ preface: Preface; rest: Uint8Array }>) => void;

export interface HandOverOptions {
  engine: Engine;
  /** Which of the peers this one is. */
  index: number;
  /** Where each takes connections for sessions that are its own. */
  peers: readonly Endpoint[];
  /** What a peer has to say first. */
  secret: string;
  /** Those of all peers. */
  offers: Offers;
  log: Log;
  /** Tells the peer `by` that this one has closed its end of what that one carries as `number`. */
  tellClosed: (by: number, number: number) => void;
  /** Called once for each connection of a client that this one was given, when it closes it. */
  onClose: () => void;
  /** Missing: `OFFER_TIMEOUT`. */
  offerTimeout?: number;
}

/**
 * How one of several threads that serve the same addresses gives a connection to the owner of its session, and takes what it is
 * given.
 *
 * What is nothing but a socket is given: the owner goes on over its descriptor. All else, as what TLS has made of a socket, is
 * carried between the client and the owner. In either case the owner is told by a letter, over a connection of its own.
 *
 * A descriptor is closed once, by the one it belongs to: first the client's link; from `detach` on the offer; and then whoever takes
 * that, which can be but one: the owner, when it has read the letter and the bytes that go with it, or its giver, when the connection
 * of the letter has ended, for whatever reason. Then the giver's link has it again, if the owner has not.
 */
export class HandOver {
  readonly #options: HandOverOptions;
  readonly #carried = new Map<number, Carried>();
  /** Over which letters of offers went that nobody has taken yet. */
  readonly #offering = new Set<Link>();
  readonly #running = new Set<Promise<void>>();
  readonly #listening: Listening;
  #count = 0;

  /** Owns `listening`, which is at its own address of `peers`; what comes waits for `accept`. */
  constructor(listening: Listening, options: HandOverOptions) {
    this.#listening = listening;
    this.#options = options;
  }

  /** Takes what peers hand over. */
  accept(takeOver: TakeOver): void {
    const { log } = this.#options;
    const onConnection = (link: AcceptedLink) => takeOver(link, () => this.#receive(link));
    const local = formatEndpoint(this.#listening.address);
    this.#listening.accept({
      onConnection,
      onFailure: (failure) => log.error("accept failed", { local, ...failure }),
    });
  }

  /** See `Carry`. */
  readonly carry: Carry = async (client, owner, preface, first) => {
    const { offers, index, secret } = this.#options;
    const number = this.#count = this.#count % LAST + 1;
    const letter: Letter = { ...preface, by: index, number };
    const peer = await this.#dial(owner);
    if (isMovable(client) && offers.make(index, number)) {
      return await this.#track(this.#offer(client, peer, letter, first));
    }
    await writeLetter(peer, { ...letter, socket: flowBelow(client)?.socket }, secret, first).catch((error) => {
      peer.close();
      throw unreachable(error);
    });
    const carried = new Carried(client, peer);
    this.#carried.set(number, carried);
    void this.#track(carried.run().finally(() => this.#carried.delete(number)));
  };

  /** The owner has closed its end of what is carried as `number`. */
  ownerClosed(number: number): void {
    this.#carried.get(number)?.ownerClosed();
  }

  /** Takes nothing more, and settles when nothing is handed over any more: after `timeout` milliseconds it is cut. */
  async stop(timeout: number): Promise<void> {
    const closed = this.#listening.close();
    const deadline = setTimeout(() => {
      for (const each of [...this.#carried.values(), ...this.#offering]) each.close();
    }, timeout);
    await Promise.all([closed, ...this.#running]);
    clearTimeout(deadline);
  }

  async #dial(owner: number): Promise<Link> {
    const { peers, engine } = this.#options;
    try {
      return await dial({ kind: "tcp", ...peers[owner]! }, {
        timeout: DIAL_TIMEOUT,
        engine,
        receiveBuffer: RECEIVE_BUFFER,
      });
    } catch (error) {
      throw unreachable(error);
    }
  }

  /** Gives the descriptor of `client` to the owner, by an offer that was made; see above whose it is when. */
  async #offer(client: MovableLink, peer: Link, letter: Letter, first: Uint8Array): Promise<void> {
    const { offers, secret, offerTimeout = OFFER_TIMEOUT } = this.#options;
    let reason = "it does not take what it is offered";
    this.#offering.add(peer);
    const deadline = setTimeout(() => peer.close(), offerTimeout);
    const fd = client.detach();
    try {
      if (fd === undefined) throw new Error("the connection is closed");
      await writeLetter(peer, { ...letter, offer: { fd, read: first.length } }, secret, first);
      // It says nothing: it closes, when it has taken the offer, or will not.
      await peer.read(new Uint8Array(1));
    } catch (error) {
      reason = reasonOf(error);
    }
    clearTimeout(deadline);
    this.#offering.delete(peer);
    peer.close();
    if (!offers.take(letter.by, letter.number)) return client.close();
    if (fd !== undefined) client.attach(fd);
    throw unreachable(reason);
  }

  /** Reads what a peer says of a connection, over which `link` goes on then when it was offered. */
  async #receive(link: AcceptedLink): Promise<{ preface: Preface; rest: Uint8Array }> {
    const { secret, offers, tellClosed, onClose } = this.#options;
    const { letter: { by, number, offer, socket, ...preface }, rest } = await readLetter(link, secret);
    if (!offer) {
      link.onClose = () => tellClosed(by, number);
      const flow = flowBelow(link);
      if (flow && socket) flow.onward = { socket, between: MOST_BETWEEN };
      return { preface, rest };
    }
    if (!isMovable(link)) throw new Error("a descriptor, where there can be none");
    if (!offers.take(by, number)) throw new Error("the peer has taken back what it offered");
    link.onClose = onClose;
    link.attach(offer.fd);
    return { preface, rest };
  }

  #track(run: Promise<void>): Promise<void> {
    const settled = run.catch(() => {}).finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    return run;
  }
}

function unreachable(reason: unknown): ScpError {
  return new ScpError(501, `the peer that has the session cannot be reached: ${reasonOf(reason)}`);
}
