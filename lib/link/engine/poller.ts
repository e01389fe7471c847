import { setImmediate } from "node:timers";
import { turn } from "../turn.ts";
import { Events, type System } from "./system.ts";

/** Events taken at once. */
const BATCH = 256;
/** Milliseconds between two turns of Deno's own loop: each costs as much as some messages. */
const TURN = 1;
/** How far promises that a round settled are followed before the next round. */
const HOPS = 16;
/** Milliseconds to wait for events in this thread, which holds Deno's own loop up. */
const SHORT_WAIT = 1;
/** How often that is done, without any event, before the thread sleeps. */
const SHORT_WAITS = 4;
/** The longest sleep, in milliseconds: forever, but for one that nobody woke. */
const SLEEP = 60_000;

/** What has a descriptor that the poller watches. */
export interface Pollable {
  /** Hears what came to be so since it was told last: flags of epoll. */
  onEvents(flags: number): void;
  /** Goes on with what it asked for by `again`. */
  serve(): void;
}

/**
 * Waits for events of descriptors, and tells whose they are: one a thread. It closes them too, and nothing else does: not before
 * the events of a round have been told, so that none is another's whom the system gave the number meanwhile.
 */
export class Poller {
  readonly system: System;
  /** What is read here is dealt with before the next read. */
  readonly buffer: Uint8Array<ArrayBuffer> = new Uint8Array(64 * 1024);
  /** -1: it has come to its end. */
  #epoll: number;
  readonly #bell: number;
  readonly #events = new Events(BATCH);
  /** The kernel's while the thread sleeps. */
  readonly #sleepEvents = new Events(BATCH);
  readonly #pollables: (Pollable | undefined)[] = [undefined];
  readonly #generations = [0];
  readonly #free: number[] = [];
  /** Descriptors to be closed when the round is over. */
  readonly #closing: number[] = [];
  /** Who wants to be served in the next round. */
  #again: Pollable[] = [];
  /** For those who want it while a round goes on: it is never that round in which they are served. */
  #spare: Pollable[] = [];
  #serving = false;
  #sleeping = false;
  #kicked = false;
  /** How many it watches. */
  #watched = 0;
  /** Settles when it watches nothing any more: it runs as long as it does. */
  #running: Promise<void> | undefined;

  /** Throws when there are no descriptors for it. */
  constructor(system: System) {
    this.system = system;
    this.#epoll = system.createEpoll();
    if (this.#epoll < 0) throw system.error();
    this.#bell = system.createBell();
    if (this.#bell < 0 || system.watch(this.#epoll, this.#bell, 0, 0) < 0) {
      const error = system.error();
      if (this.#bell >= 0) system.close(this.#bell);
      system.close(this.#epoll);
      throw error;
    }
  }

  /**
   * Watches a descriptor for a pollable, and gives the place where it does: `close` or `release` are to be told of it, once. Throws
   * when the system cannot, and then it has closed the descriptor.
   */
  add(fd: number, pollable: Pollable): number {
    const slot = this.#free.pop() ?? this.#pollables.push(undefined) - 1;
    const generation = this.#generations[slot] ??= 0;
    if (this.system.watch(this.#epoll, fd, slot, generation) < 0) {
      const error = this.system.error();
      this.#free.push(slot);
      this.system.close(fd);
      throw error;
    }
    this.#pollables[slot] = pollable;
    this.#watched++;
    this.#running ??= this.#run();
    return slot;
  }

  /** Watches it no more, and closes its descriptor. */
  close(fd: number, slot: number): void {
    this.#forget(slot);
    if (this.#serving) this.#closing.push(fd);
    else this.system.close(fd);
  }

  /** Watches it no more: the descriptor is the caller's. */
  release(fd: number, slot: number): void {
    this.#forget(slot);
    this.system.unwatch(this.#epoll, fd);
  }

  /** Has `serve` called in the next round. */
  again(pollable: Pollable): void {
    this.#again.push(pollable);
    if (this.#kicked || (this.#running && !this.#sleeping)) return;
    this.#kicked = true;
    setImmediate(() => this.#kick());
  }

  /** To be called when nothing is watched any more. Settles when it has come to its end; it cannot be used then. May be called again. */
  async stop(): Promise<void> {
    // Whoever is added while it comes to its end is waited for too.
    while (this.#running) await this.#running;
    if (this.#epoll < 0) return;
    this.system.close(this.#bell);
    this.system.close(this.#epoll);
    this.#epoll = -1;
  }

  #forget(slot: number): void {
    this.#pollables[slot] = undefined;
    this.#generations[slot] = (this.#generations[slot]! + 1) | 0;
    this.#free.push(slot);
    if (--this.#watched === 0 && this.#sleeping) this.system.ring(this.#bell);
  }

  async #run(): Promise<void> {
    const { system } = this;
    await undefined; // whoever is added first is not to be told of anything while he is
    for (let quiet = 0, turned = performance.now(); this.#watched > 0 || this.#again.length > 0;) {
      const timeout = this.#again.length > 0 ? 0 : SHORT_WAIT;
      const n = system.wait(this.#epoll, this.#events, timeout);
      const busy = n > 0 || this.#again.length > 0;
      this.#round(this.#events, n);
      quiet = busy ? 0 : quiet + 1;
      if (quiet > SHORT_WAITS) {
        await this.#sleep();
        quiet = 0;
      } else if (!busy || performance.now() - turned >= TURN) {
        await turn(); // timers, messages, and whatever else is Deno's
        turned = performance.now();
      } else {
        for (let i = 0; i < HOPS; i++) await undefined;
      }
    }
    this.#running = undefined;
  }

  /** In the pool, so that Deno's own loop goes on. What it says is served: each event is told once. */
  async #sleep(): Promise<void> {
    this.#sleeping = true;
    const n = await this.system.waitInPool(this.#epoll, this.#sleepEvents, SLEEP);
    this.#sleeping = false;
    this.#round(this.#sleepEvents, n);
  }

  /** While the thread sleeps, or nothing is watched. */
  #kick(): void {
    this.#kicked = false;
    this.#round(this.#events, 0);
  }

  /** Tells what happened, then serves who asked for it before. */
  #round(events: Events, n: number): void {
    const again = this.#again;
    this.#again = this.#spare;
    this.#serving = true;
    for (let i = 0; i < n; i++) this.#tell(events, i);
    for (const pollable of again) this.#serve(pollable);
    again.length = 0;
    this.#spare = again;
    this.#serving = false;
    for (const fd of this.#closing) this.system.close(fd);
    this.#closing.length = 0;
  }

  #tell(events: Events, i: number): void {
    const slot = events.slot(i);
    // Else it is of one that was closed meanwhile, whose place is another's.
    if (this.#generations[slot] !== events.generation(i)) return;
    try {
      this.#pollables[slot]?.onEvents(events.flags(i));
    } catch (error) {
      reportError(error); // a fault of one, which is not to be that of all
    }
  }

  #serve(pollable: Pollable): void {
    try {
      pollable.serve();
    } catch (error) {
      reportError(error);
    }
  }
}
