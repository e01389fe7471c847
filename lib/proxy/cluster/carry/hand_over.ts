import { dial } from "../../../link/dial.ts";
import { type Engine, isMovable, type MovableLink } from "../../../link/engine/engine.ts";
import { type ClientLink, type Endpoint, type Link, reasonOf } from "../../../link/link.ts";
import { ScpError } from "../../../scp/mod.ts";
import { type HeldUp, InFlight } from "../../session/in_flight.ts";
import { flowOf } from "../../../link/pumped_flow.ts";
import type { Owner } from "../../owner.ts";
import type { Carry } from "../../seams.ts";
import { within } from "../../../within.ts";
import { Carried, flowBelow, type Hold, LITTLE, mostHeld, MUCH, SOME } from "./carried.ts";
import { isAcked, isNew, type Letter, readReceipt, type Receipt, writeLetter } from "./letter.ts";
import type { Offers } from "./offers.ts";

/** Milliseconds to reach a thread in. */
const DIAL_TIMEOUT = 5000;
/** Milliseconds for it to take what it is offered, or given to be carried: it is hung then. */
const OFFER_TIMEOUT = 5000;
/** The last number before they begin anew. */
const LAST = 2 ** 31 - 1;

/** Other processes, of which each owns sessions. */
export interface Nodes {
  /**
   * A connection to that owner's process, over which a letter can be written, within `timeout` milliseconds; `isFresh`: it was opened for
   * this, as it is when it is asked for, so that whoever is not answered over it need not try another. The caller owns it. Rejects as
   * `Carry` does.
   */
  reach(owner: Owner, hold: Hold, timeout: number, wanted?: "fresh"): Promise<{ link: Link; isFresh: boolean }>;
  /** A connection is carried there now: gives what is to be called when it is not any more. */
  opened(owner: Owner): () => void;
  /** One could not be: others to there that were opened before are not to be trusted. */
  failed(owner: Owner): void;
  /** Milliseconds for a process to be reached, and to answer a letter, over however many connections. */
  readonly timeout: number;
}

export interface HandOverOptions {
  engine: Engine;
  /** Which thread this one is. */
  thread: number;
  /** Whether a thread of this process has the sessions of that owner. */
  isHere: (owner: Owner) => boolean;
  /** Where each thread takes connections for sessions that are its own. */
  peers: readonly Endpoint[];
  /** What a thread has to say first. */
  secret: string;
  /** Those of all threads. */
  offers: Offers;
  /** A number of [0, 1). */
  random: () => number;
  /** Missing: there are none. */
  nodes?: Nodes;
  /** Missing: `OFFER_TIMEOUT`. */
  offerTimeout?: number;
}

/** There was no answer in time. */
class Late extends Error {}

/**
 * How a connection gets to the owner of its session: a thread of this process, or another process. `Takings` are the other end.
 *
 * What is nothing but a socket is given to a thread: the owner goes on over its descriptor. All else, as what TLS has made of a
 * socket, and all that belongs to another process, is carried between the client and the owner. In either case the owner is told by a
 * letter, over a connection of its own; what is carried goes over that one, when the owner has said that it takes it.
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
  readonly #inFlight: InFlight;
  /**
   * By chance where they begin: another process may go on as the node that this one is, and what others say of numbers that were given
   * here means nothing there.
   */
  #count: number;
  /** What is carried to other processes. */
  readonly #away = new Set<Carried>();
  #isCut = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#count = Math.floor(options.random() * LAST);
    this.#inFlight = new InFlight(true, options.engine);
  }

  /** How many connections it carries to other processes. */
  get carrying(): number {
    return this.#away.size;
  }

  /** See `Carry`. */
  readonly carry: Carry = (client, owner, preface, first) => {
    const letter: Letter = { ...preface, by: this.#options.thread, number: this.#nextNumber(), of: client.via };
    return this.#options.isHere(owner)
      ? this.#toThread(client, owner.thread, letter, first)
      : this.#toNode(client, owner, letter, first);
  };

  /** The owner has closed its end of what is carried as `number`. */
  ownerClosed(number: number): void {
    this.#carried.get(number)?.ownerClosed();
  }

  /** Closes what is carried for clients that are gone: see `AckWatch`; to be called about once a second. */
  look(ackTimeout: number): void {
    const now = performance.now();
    for (const carried of this.#carried.values()) carried.look(ackTimeout, now);
  }

  /** Closes what is carried to other processes, now and from now on: those clients come again, wherever they are let in then. */
  cutAway(): void {
    this.#isCut = true;
    for (const carried of this.#away) carried.close();
  }

  /** Settles when nothing is handed over any more: after `timeout` milliseconds it is cut. */
  async stop(timeout: number): Promise<void> {
    const deadline = setTimeout(() => {
      for (const each of [...this.#carried.values(), ...this.#offering]) each.close();
    }, timeout);
    await Promise.all(this.#running);
    clearTimeout(deadline);
    this.#inFlight.stop();
  }

  async #toThread(client: ClientLink, thread: number, letter: Letter, first: Uint8Array): Promise<void> {
    const { offers, peers, engine, secret } = this.#options;
    const address = peers[thread];
    if (!address) throw new ScpError(404, `there is no thread ${thread}`);
    const peer = await dial({ kind: "tcp", ...address }, {
      timeout: DIAL_TIMEOUT,
      engine,
      receiveBuffer: LITTLE.receiveBuffer,
    }).catch((error) => {
      throw unreachable(error);
    });
    if (isMovable(client) && offers.make(letter.by, letter.number)) {
      return await this.#track(this.#offer(client, peer, letter, first));
    }
    const told = { ...letter, socket: flowBelow(client)?.socket, between: mostHeld(LITTLE) };
    const answer = await this.#ask(peer, told, first, secret, OFFER_TIMEOUT).catch((error) => {
      throw unreachable(error);
    });
    this.#carryOn(client, peer, letter.number, { ...answer, hold: LITTLE, onClose: () => {} });
  }

  async #toNode(client: ClientLink, owner: Owner, letter: Letter, first: Uint8Array): Promise<void> {
    const { nodes } = this.#options;
    if (!nodes) throw new ScpError(404, `there is no node of slot ${owner.slot}`);
    const hold = isAcked(first) ? MUCH : SOME;
    const awaitsProof = client.proven !== undefined && client.isProven === false && isNew(first);
    const deadline = performance.now() + nodes.timeout;
    const left = () => Math.max(0, deadline - performance.now());
    const ask = async (from?: "fresh") => {
      const { link, isFresh } = await nodes.reach(owner, hold, left(), from);
      // A second letter has a number of its own: an owner that has got the first one, over what broke, tells of its end.
      const number = from ? this.#nextNumber() : letter.number;
      const told = { ...letter, number, between: mostHeld(hold), ...(awaitsProof && { awaitsProof }) };
      try {
        return { link, number, ...await this.#ask(link, told, first, "", left()) };
      } catch (error) {
        // One that was opened before may have been closed long ago. Who is late may yet take the letter: a second one would be a resume
        // by an index that is used.
        if (!isFresh && !(error instanceof Late)) return undefined;
        nodes.failed(owner);
        throw unreachable(error);
      }
    };
    const { link, number, ...answer } = (await ask() ?? await ask("fresh"))!;
    const proof = awaitsProof ? client.proven!() : undefined;
    this.#carryOn(client, link, number, { ...answer, hold, proof, onClose: nodes.opened(owner) });
  }

  /** Has an owner told of a connection: what it says to that, and bytes that came after. Owns `peer` when it rejects. */
  async #ask(
    peer: Link,
    letter: Letter,
    first: Uint8Array,
    secret: string,
    timeout: number,
  ): Promise<{ receipt: Receipt; rest: Uint8Array }> {
    try {
      const asked = (async () => {
        await writeLetter(peer, letter, secret, first);
        return await readReceipt(peer);
      })();
      const answer = await within(timeout, asked);
      if (answer) return answer;
      throw new Late(`no answer within ${timeout} ms`);
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  #carryOn(
    client: ClientLink,
    owner: Link,
    number: number,
    { receipt: { bound }, rest, hold, proof, onClose }: {
      receipt: Receipt;
      rest: Uint8Array;
      hold: Hold;
      proof?: Promise<void> | undefined;
      onClose: () => void;
    },
  ): void {
    const holdUp = (carried: HeldUp) => this.#inFlight.hold(carried);
    const carried = new Carried(flowOf(client), flowOf(owner), {
      rest,
      hold,
      ...(bound !== undefined && { bound }),
      ...(proof && { proof }),
      holdUp,
    });
    this.#carried.set(number, carried);
    if (hold !== LITTLE) this.#away.add(carried);
    const run = carried.run().finally(() => {
      this.#carried.delete(number);
      onClose();
      this.#away.delete(carried);
    });
    void this.#track(run);
    if (this.#isCut) this.cutAway();
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

  #nextNumber(): number {
    return this.#count = this.#count % LAST + 1;
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
