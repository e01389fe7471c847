import type { Endpoint } from "../link.ts";
import {
  type Accepting,
  type Engine,
  isPassable,
  type Listening,
  type ListenOptions,
  type TcpOptions,
} from "./engine.ts";
import type { Descriptors } from "./passing/descriptors.ts";

export interface ListeningsOptions extends Pick<ListenOptions, "backlog" | "tcp"> {
  /**
   * By which it goes on listening, as another process had the address, and owns; none: the address is had anew beside others who go on.
   * Missing: nobody had it.
   */
  descriptors?: readonly number[] | undefined;
}

/** An address that this thread listens on beside others, by a socket of its own or by those of another process: clients wait until `accept`. */
export class Listenings {
  /** As it was asked for. */
  readonly endpoint: Endpoint;
  readonly #all: readonly Listening[];

  /** Throws when the address cannot be had, or the engine goes on by no descriptors. */
  constructor(engine: Engine, endpoint: Endpoint, { descriptors, ...options }: ListeningsOptions) {
    const shared = { ...options, isShared: true };
    this.endpoint = endpoint;
    if (!descriptors) this.#all = [engine.listen(endpoint, shared)];
    else if (!engine.adoptListening) throw new Error("sockets are had by Deno, which takes none");
    else if (descriptors.length === 0) this.#all = [engine.listen(endpoint, { ...shared, isLater: true })];
    else this.#all = descriptors.map((fd) => engine.adoptListening!(fd, endpoint.hostname, options));
  }

  /** Of connections accepted from now on. */
  set tcp(tcp: TcpOptions) {
    for (const listening of this.#all) listening.tcp = tcp;
  }

  /** Accepts until it is closed; after `pause`, again. */
  accept(accepting: Accepting): void {
    for (const listening of this.#all) listening.accept(accepting);
  }

  /** Lets clients wait. */
  pause(): void {
    for (const listening of this.#all) if (isPassable(listening)) listening.pause();
  }

  /** Descriptors of its sockets, which belong to `owner` as they are made. Throws where the engine has none to give. */
  duplicate(owner: Descriptors): number[] {
    return this.#all.map((listening) => {
      if (isPassable(listening)) return owner.add(listening.duplicate());
      throw new Error("sockets are had by Deno, which passes none");
    });
  }

  /** Connections accepted before live on. Settles when the address is free again. */
  async close(): Promise<void> {
    await Promise.all(this.#all.map((listening) => listening.close()));
  }
}
