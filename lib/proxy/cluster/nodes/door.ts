import type { AcceptedLink } from "../../../link/engine/engine.ts";
import type { Listenings } from "../../../link/engine/listenings.ts";
import type { Descriptors } from "../../../link/engine/passing/descriptors.ts";
import { formatEndpoint, type Link, reasonOf } from "../../../link/link.ts";
import type { Fields, Log } from "../../../log.ts";
import { sparingly } from "../../../sparingly.ts";
import type { Owns } from "./hello.ts";
import type { PeerIdentity } from "./hello_forms.ts";
import { greet, type PeerOptions } from "./peer_door.ts";
import { PeerError } from "./peer_error.ts";
import { serveRequests } from "./requests.ts";

/** Connections at once that have not shown who they are: for more, those that wait longest are closed. */
const MOST_STRANGERS = 256;
/** Milliseconds between two lines of the log about strangers. */
const REFUSED_INTERVAL = 10_000;

export interface DoorOptions {
  /** Of the moment: a reload may change them. */
  options: () => PeerOptions;
  identity: () => PeerIdentity;
  owns: Owns;
  log: Log;
  /** Takes a connection over which clients of `instance` will come, and owns it; `socket` is what it is over. */
  onCarry: (link: Link, socket: AcceptedLink, instance: string, rest: Uint8Array) => void;
  /** Answers what a peer asks; what it rejects with is told to it. */
  answer: (from: PeerIdentity, method: string, args: unknown) => Promise<unknown>;
  /** Somebody was not let in. */
  onRefused: () => void;
}

/** Where other processes of the cluster come in: each says who it is, and what for. */
export class Door {
  readonly #options: DoorOptions;
  readonly #listenings: Listenings;
  readonly #strangers = new Set<AcceptedLink>();
  /** Over which is asked. */
  readonly #askers = new Set<Link>();
  readonly #warn: (fields: Fields) => void;

  /** Owns `listenings`. */
  constructor(listenings: Listenings, options: DoorOptions) {
    const { log } = options;
    this.#options = options;
    this.#listenings = listenings;
    this.#warn = sparingly(REFUSED_INTERVAL, (fields) => log.warning("peer refused", fields));
  }

  /** Lets peers in from now on; after `pause`, again. */
  accept(): void {
    const local = formatEndpoint(this.#listenings.endpoint);
    this.#listenings.accept({
      onConnection: (socket) => void this.#receive(socket),
      onFailure: (failure) => this.#options.log.error("accept failed", { local, ...failure }),
    });
  }

  /** Lets who comes wait. Who is in already is served on. */
  pause(): void {
    this.#listenings.pause();
  }

  /** See `Listenings.duplicate`. */
  duplicate(owner: Descriptors): number[] {
    return this.#listenings.duplicate(owner);
  }

  /** Lets nobody in any more, and answers nothing. What carries goes on. Settles when the address is free. */
  async close(): Promise<void> {
    for (const link of [...this.#strangers, ...this.#askers]) link.close();
    await this.#listenings.close();
  }

  async #receive(socket: AcceptedLink): Promise<void> {
    this.#makeRoom();
    this.#strangers.add(socket);
    const { options, identity, owns, onCarry } = this.#options;
    try {
      const { link, from, kind, rest } = await greet(socket, { options: options(), identity, owns });
      this.#strangers.delete(socket);
      if (kind === "carry") onCarry(link, socket, from.instance, rest);
      else await this.#answer(link, from, rest);
    } catch (error) {
      const wasWaiting = this.#strangers.delete(socket);
      // A peer that is wrong about a slot is told so, and one that meets itself looked for that.
      const isStranger = error instanceof PeerError && error.kind === "rejected";
      if (isStranger && wasWaiting) this.#refuse(socket, reasonOf(error));
    }
  }

  /** A peer takes milliseconds to show who it is: whoever floods must be that fast to keep it out. */
  #makeRoom(): void {
    const [oldest] = this.#strangers;
    if (!oldest || this.#strangers.size < MOST_STRANGERS) return;
    this.#strangers.delete(oldest);
    this.#refuse(oldest, "too many have not shown who they are");
  }

  async #answer(link: Link, from: PeerIdentity, rest: Uint8Array): Promise<void> {
    this.#askers.add(link);
    await serveRequests(link, rest, (method, args) => this.#options.answer(from, method, args))
      .finally(() => this.#askers.delete(link));
  }

  #refuse(socket: AcceptedLink, reason: string): void {
    socket.close();
    this.#options.onRefused();
    this.#warn({ peer: formatEndpoint(socket.remote), reason });
  }
}
