import { DescriptorCalls } from "./passing/descriptor_calls.ts";
import type { Pollable, Poller } from "./poller.ts";
import { EPOLLIN, System } from "./system.ts";

const RING = new Uint8Array(1);
/** How often it has been rung does not matter. */
const HEARD = new Uint8Array(64);

/**
 * Rung when another thread has been told something: see `Engine.hearMessages`. A connection: who writes to an eventfd does not ring, by the
 * kernel's rule, another one, by which io_uring tells of what is done.
 */
export class MessageBell {
  readonly #system: System;
  readonly #ends: [own: number, far: number];
  #isClosed = false;

  /** `undefined`: there is none to be had, as where there is no such library. */
  static open(): MessageBell | undefined {
    try {
      const system = System.open();
      return new MessageBell(system, system.socketPair());
    } catch {
      return undefined;
    }
  }

  private constructor(system: System, ends: [number, number]) {
    this.#system = system;
    this.#ends = ends;
  }

  /** The descriptor by which the other thread hears it. */
  get far(): number {
    return this.#ends[1];
  }

  ring(): void {
    if (!this.#isClosed) this.#system.send(this.#ends[0], RING);
  }

  /** May be called again. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const fd of this.#ends) this.#system.close(fd);
  }
}

/** Has a poller hear messages when a bell is rung. */
export class MessageBellHearing implements Pollable {
  readonly #poller: Poller;
  readonly #fd: number;
  readonly #place: number;

  /** Watches another descriptor of that bell. Throws when the system cannot. */
  constructor(poller: Poller, bell: number) {
    this.#poller = poller;
    this.#fd = DescriptorCalls.open().duplicate(bell);
    if (this.#fd < 0) throw poller.system.error();
    this.#place = poller.add(this.#fd, this, EPOLLIN);
  }

  onEvents(): void {
    const { system } = this.#poller;
    while (system.receive(this.#fd, HEARD, HEARD.length) === HEARD.length);
    this.#poller.hearMessages();
  }

  serve(): void {}

  close(): void {
    this.#poller.close(this.#fd, this.#place);
  }
}
