import { type AcceptedLink, isMovable, type Listening } from "../../../link/engine/engine.ts";
import { type ClientLink, formatEndpoint, type Link, reasonOf, type Via, writeAll } from "../../../link/link.ts";
import type { Log } from "../../../log.ts";
import { ScpError } from "../../../scp/mod.ts";
import type { HandedOver } from "../../seams.ts";
import { flowBelow } from "./carried.ts";
import {
  isAcked,
  type Letter,
  type LetterOfNode,
  PROVEN,
  readFirst,
  readLetter,
  readLetterOfNode,
  writeReceipt,
} from "./letter.ts";
import type { Offers } from "./offers.ts";

/** Takes a connection of a client that a peer has, and owns it. `read` gives what the peer says of it, and bytes that came then. */
export type TakeOver = (link: ClientLink, read: () => Promise<HandedOver>) => void;

export interface TakingsOptions {
  /** What a thread has to say first. */
  secret: string;
  /** Those of all threads. */
  offers: Offers;
  log: Log;
  /** Tells the thread `by` that this one has closed its end of what that one carries as `number`. */
  tellThread: (by: number, number: number) => void;
  /** Tells another process the same. */
  tellNode: (via: Via) => void;
  /**
   * The most bytes that may be on their way from another process to a client whose session does not count what arrives: the owner
   * must be able to send all of them again, and the bytes `between` the two.
   */
  bound: (between: number) => number;
  /** Called once for each connection of a client that this process has accepted and this thread was given, when it closes it. */
  onClose: () => void;
}

/** How a thread takes the connections of clients that another thread, or another process, has: the other end of `HandOver`. */
export class Takings {
  readonly #options: TakingsOptions;
  readonly #takeOver: TakeOver;
  /** Over which nothing was handed over yet. */
  readonly #idle = new Set<Link>();
  #isClosed = false;

  constructor(takeOver: TakeOver, options: TakingsOptions) {
    this.#takeOver = takeOver;
    this.#options = options;
  }

  /** Takes what threads hand over, who connect to that address, which stays the caller's. */
  accept(listening: Listening): void {
    const { log, secret } = this.#options;
    const local = formatEndpoint(listening.address);
    listening.accept({
      onConnection: (link) => this.#takeOver(link, async () => this.#read(link, await readLetter(link, secret))),
      onFailure: (failure) => log.error("accept failed", { local, ...failure }),
    });
  }

  /**
   * Takes what a process that has shown who it is hands over by this connection, which may be long from now. Owns the link. `socket`:
   * what it is over. `before`: bytes of it that were read already.
   */
  async take(link: Link, socket: AcceptedLink, instance: string, before: Uint8Array): Promise<void> {
    const client: ClientLink = Object.assign(link, { remote: socket.remote, local: socket.local });
    if (this.#isClosed) return link.close();
    this.#idle.add(link);
    try {
      const read = await readLetterOfNode(link, before);
      if (!read) return link.close();
      const { letter, rest } = read;
      this.#takeOver(
        client,
        async () => this.#readOfNode(client, socket, instance, letter, await readFirst(link, rest)),
      );
    } catch (error) {
      link.close();
      if (!(error instanceof ScpError)) return; // it broke, and was not needed
      const fields = { peer: formatEndpoint(socket.remote), instance, reason: reasonOf(error) };
      this.#options.log.warning("nothing taken of a peer", fields);
    } finally {
      this.#idle.delete(link);
    }
  }

  /** Closes what other processes have opened, and not used yet: where they come next they connect anew. */
  closeIdle(): void {
    for (const link of this.#idle) link.close();
  }

  /** Takes nothing more of other processes, and closes what is idle. */
  close(): void {
    this.#isClosed = true;
    this.closeIdle();
  }

  async #readOfNode(
    link: ClientLink,
    socket: AcceptedLink,
    instance: string,
    { by: thread, number, between, awaitsProof, ...preface }: LetterOfNode,
    rest: Uint8Array,
  ): Promise<HandedOver> {
    const { bound, tellNode } = this.#options;
    const receipt = isAcked(rest) ? {} : { bound: bound(between) };
    const via = { instance, thread, number, transport: preface.transport, between: between + (receipt.bound ?? 0) };
    link.via = via;
    const flow = flowBelow(link);
    if (flow) flow.onward = { between: via.between };
    socket.onClose = () => tellNode(via);
    if (awaitsProof) link.prove = (answer) => proveByWord(link, answer);
    await writeReceipt(link, receipt);
    return { preface, rest, from: "node" };
  }

  /** Reads what a thread says of a connection, over which `link` goes on then when it was offered. */
  async #read(
    link: AcceptedLink,
    { letter: { by, number, offer, socket, between = 0, of, ...preface }, rest }: { letter: Letter; rest: Uint8Array },
  ): Promise<HandedOver> {
    const { offers, tellThread, tellNode, onClose, bound } = this.#options;
    const handedOver = { preface, rest, from: "thread" } as const;
    if (of) link.via = of;
    const flow = flowBelow(link);
    // Of what is no socket, as KCP, only who carries it knows how much is on its way.
    const receipt = offer || socket || isAcked(rest) ? {} : { bound: bound(between) };
    const most = between + (of?.between ?? 0) + (receipt.bound ?? 0);
    if (flow) flow.onward = offer && !of ? undefined : { socket, between: most };
    if (!offer) {
      link.onClose = () => tellThread(by, number);
      await writeReceipt(link, receipt);
      return handedOver;
    }
    if (!isMovable(link)) throw new Error("a descriptor, where there can be none");
    if (!offers.take(by, number)) throw new Error("the peer has taken back what it offered");
    link.onClose = of ? () => tellNode(of) : onClose;
    link.attach(offer.fd);
    return handedOver;
  }
}

/** See `ClientLink.prove`: who carries it knows, and says so. */
async function proveByWord(link: ClientLink, answer: Uint8Array<ArrayBuffer>): Promise<void> {
  await writeAll(link, answer);
  const word = new Uint8Array(PROVEN.length);
  if (await link.read(word) === null) throw new Error("the client has not shown that it got the answer");
}
