import { setImmediate } from "node:timers";
import { turn } from "../turn.ts";
import type { SocketFlow, SocketFlowOptions } from "./socket_flow.ts";
import type { System } from "./system.ts";

/** Milliseconds between two turns of Deno's own loop: each costs as much as some messages. */
const TURN = 1;
/** How far promises that a round settled are followed before the next round. */
const HOPS = 16;
/**
 * Milliseconds to wait for events in this thread, which holds Deno's own loop up. With 1, where most waits end before, a single
 * connection had a quarter less echoes: the kernel sets a timer up anew for each that is due before its next tick.
 */
const SHORT_WAIT = 3;
/** How often that is done, without any event, before the thread sleeps. */
const SHORT_WAITS = 2;
/** How many make a round crowded, and the bytes that each may read at once then: what is read is ciphered before others have their turn. */
const CROWD = 16;
const CROWDED_READ = 16 * 1024;
/** Bytes that all of a smaller one may read together. */
const ROUND_READ = 1024 * 1024;
/** Turns of Deno's own loop that who asked for one has before the thread waits: a stream on a stream takes that many. */
const TURNS = 2;
/** Turns, of those in which messages are heard, that one has to come in: after one in three it had not. */
const HEARING = 3;
/** The longest sleep, in milliseconds: forever, but for one that nobody woke. */
export const SLEEP = 60_000;

/** What has a descriptor that the poller watches. */
export interface Pollable {
  /** Hears what came to be so since it was told last: flags of epoll. */
  onEvents(flags: number): void;
  /** Goes on with what it asked for by `again`. */
  serve(): void;
}

/**
 * Waits for what happens to descriptors, and tells whose they are: one a thread. It closes them too, and nothing else does: not
 * before what happened in a round has been told, so that none is another's whom the system gave the number meanwhile.
 */
export abstract class Poller {
  readonly system: System;
  /** What is read here is dealt with before the next read. */
  readonly buffer: Uint8Array<ArrayBuffer> = new Uint8Array(256 * 1024);
  /** The most bytes to read of one descriptor in this round, so that the others need not wait for long. */
  share: number = this.buffer.length;
  /** Messages of other threads and processes follow each other: what is waited for here does not hold them up. */
  expectsMessages = false;
  /** Why it has come to its end though it holds something: nobody is told of anything any more. */
  failure: Error | undefined;
  /** Wakes it; it owns the descriptor. */
  protected readonly bell: number;
  /** Who wants to be served in the next round. */
  #again: Pollable[] = [];
  /** For those who want it while a round goes on: it is never that round in which they are served. */
  #spare: Pollable[] = [];
  /** Descriptors to be closed when the round is over. */
  readonly #closing: number[] = [];
  #isInRound = false;
  #isSleeping = false;
  #isKicked = false;
  /** Turns in which is heard what another thread has said. */
  #toHear = 0;
  #hasEnded = false;
  /** Turns of Deno's own loop that somebody waits for. */
  #turns = 0;
  /** Settles when it holds nothing any more: it runs as long as it does. */
  #running: Promise<void> | undefined;

  /** Throws when there are no descriptors for it. */
  constructor(system: System) {
    this.system = system;
    this.bell = system.createBell();
    if (this.bell < 0) throw system.error();
  }

  /**
   * Watches a descriptor for a pollable, and gives the place where it does: `close` or `release` are to be told of it, once. Throws
   * when the system cannot, and then it has closed the descriptor. `events`: of which it hears, beside errors.
   */
  abstract add(fd: number, pollable: Pollable, events?: number): number;

  /** Has one that was added without EPOLLOUT hear of that too, when there is room for what is written; or no longer. */
  abstract hearOfRoom(fd: number, place: number, isWanted: boolean): void;

  /** Watches it no more, and closes its descriptor. */
  abstract close(fd: number, place: number): void;

  /** The same, and its number and its address are free by the end of the round at the latest. */
  closeAtOnce(fd: number, place: number): void {
    this.close(fd, place);
  }

  /** As `close`, and what was written and is not sent yet is not to be. */
  abort(fd: number, place: number): void {
    this.close(fd, place);
  }

  /** Watches it no more: the descriptor is the caller's. */
  abstract release(fd: number, place: number): void;

  /** A flow over a descriptor, which that owns; throws as `add`. */
  abstract flow(fd: number, options?: SocketFlowOptions): SocketFlow;

  /** Has `serve` called in the next round. */
  again(pollable: Pollable): void {
    this.#again.push(pollable);
    if (!this.#running || this.#isSleeping) this.kick();
  }

  /** Another thread has said something: it is heard soon. */
  hearMessages(): void {
    this.#toHear = HEARING;
  }

  /** What was told, or asked for, goes on in Deno's own loop: it has its turns before the thread waits. */
  yieldSoon(): void {
    this.#turns = TURNS;
  }

  /** To be called when nothing is watched any more. Settles when it has come to its end; it cannot be used then. May be called again. */
  async stop(): Promise<void> {
    // Whoever is added while it comes to its end is waited for too.
    while (this.#running && !this.failure) await this.#running;
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.system.close(this.bell);
    this.free();
  }

  /** Whether it holds anything for anybody. */
  protected abstract get isHolding(): boolean;

  /** Waits at most so many milliseconds until something happens. */
  protected abstract wait(timeout: number): void;

  /** What was asked for while the thread sleeps is the system's from now on. */
  protected handOver(): void {}

  /** To how many something happened that was not told. */
  protected abstract get happened(): number;

  /** Tells what happened. */
  protected abstract tell(): void;

  /** Waits in the pool, so that Deno's own loop goes on; what happened is then for `tell`. */
  protected abstract sleep(): Promise<void>;

  /** Gives back what it has of the system; the bell is closed. */
  protected abstract free(): void;

  protected get isSleeping(): boolean {
    return this.#isSleeping;
  }

  /** Something is held from now on. */
  protected begin(): void {
    this.#running ??= this.#run().catch((error) => {
      this.failure = error;
      reportError(error);
    });
  }

  /** Nothing is held any more. */
  protected idle(): void {
    if (this.#isSleeping) this.system.ring(this.bell);
  }

  /** Closes a descriptor that nothing is held for any more. */
  protected closeDescriptor(fd: number): void {
    if (this.#isInRound) this.#closing.push(fd);
    else this.system.close(fd);
  }

  /** Has a round soon, while the thread sleeps or nothing is held. */
  protected kick(): void {
    if (this.#isKicked || this.failure) return;
    this.#isKicked = true;
    setImmediate(() => {
      this.#isKicked = false;
      if (this.#running && !this.#isSleeping) return; // it is awake by now
      if (!this.#hasEnded) this.handOver();
      this.#round();
    });
  }

  async #run(): Promise<void> {
    await undefined; // whoever is added first is not to be told of anything while he is
    for (let quiet = 0, turned = performance.now(); this.isHolding || this.#again.length > 0;) {
      const isYielding = this.#turns > 0;
      const isHurried = isYielding || this.#isHearing || this.#again.length > 0;
      this.wait(isHurried ? 0 : SHORT_WAIT);
      const busy = this.happened > 0 || this.#again.length > 0 || isYielding;
      if (isYielding) this.#turns--;
      this.#round();
      quiet = busy ? 0 : quiet + 1;
      if (quiet > (this.expectsMessages ? 0 : SHORT_WAITS)) {
        this.#isSleeping = true;
        await this.sleep();
        this.#isSleeping = false;
        this.#round();
        quiet = 0;
      } else if (!busy || isYielding || this.#turns > 0 || this.#isHearing || performance.now() - turned >= TURN) {
        await (this.#isHearing ? this.#turnForMessages() : turn()); // timers, messages, and whatever else is Deno's
        turned = performance.now();
      } else {
        for (let i = 0; i < HOPS; i++) await undefined;
      }
    }
    this.#running = undefined;
  }

  /** Whether its turns are such in which messages are heard. */
  get #isHearing(): boolean {
    return this.#toHear > 0 || this.expectsMessages;
  }

  /**
   * A turn in which messages are heard: what waits for nothing but a turn has 26 of them before Deno's loop looks for messages. It costs
   * as much as 40 others.
   */
  async #turnForMessages(): Promise<void> {
    if (this.#toHear > 0) this.#toHear--;
    await this.system.waitForBell(this.bell, 0);
  }

  /** How much each of so many may read at once. */
  #shareOf(count: number): number {
    if (count > CROWD) return CROWDED_READ;
    return Math.min(this.buffer.length, Math.floor(ROUND_READ / Math.max(1, count)));
  }

  /** Tells what happened, then serves who asked for it before, also when it has come to its end meanwhile. */
  #round(): void {
    const again = this.#again;
    this.#again = this.#spare;
    this.#isInRound = true;
    this.share = this.#shareOf(again.length + this.happened);
    if (!this.#hasEnded) this.tell();
    for (const pollable of again) {
      try {
        pollable.serve();
      } catch (error) {
        reportError(error); // a fault of one, which is not to be that of all
      }
    }
    again.length = 0;
    this.#spare = again;
    this.#isInRound = false;
    for (const fd of this.#closing) this.system.close(fd);
    this.#closing.length = 0;
  }
}
