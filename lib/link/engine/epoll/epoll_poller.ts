import { type Pollable, Poller, SLEEP } from "../poller.ts";
import type { SocketFlowOptions } from "../socket_flow.ts";
import { ALL_EVENTS, EPOLLOUT, Events, type System } from "../system.ts";
import { EpollFlow } from "./epoll_flow.ts";

/** Events taken at once. */
const BATCH = 256;

/** A poller by epoll: each event comes once (edge-triggered). */
export class EpollPoller extends Poller {
  /** -1: it has come to its end. */
  #epoll: number;
  /** Of the last wait, and what it brought. */
  #told = new Events(BATCH);
  #count = 0;
  /** The kernel's while the thread sleeps. */
  #sleepEvents = new Events(BATCH);
  readonly #pollables: (Pollable | undefined)[] = [undefined];
  readonly #generations = [0];
  /** Of what each hears always. */
  readonly #events = [0];
  readonly #free: number[] = [];
  /** How many it watches. */
  #watched = 0;

  /** Throws when there are no descriptors for it. */
  constructor(system: System) {
    super(system);
    this.#epoll = system.createEpoll();
    if (this.#epoll >= 0 && system.watch(this.#epoll, this.bell, 0, 0) >= 0) return;
    const error = system.error();
    if (this.#epoll >= 0) system.close(this.#epoll);
    system.close(this.bell);
    throw error;
  }

  add(fd: number, pollable: Pollable, events = ALL_EVENTS): number {
    const place = this.#free.pop() ?? this.#pollables.push(undefined) - 1;
    const generation = this.#generations[place] ??= 0;
    if (this.system.watch(this.#epoll, fd, place, generation, events) < 0) {
      const error = this.system.error();
      this.#free.push(place);
      this.system.close(fd);
      throw error;
    }
    this.#pollables[place] = pollable;
    this.#events[place] = events;
    this.#watched++;
    this.begin();
    return place;
  }

  hearOfRoom(fd: number, place: number, isWanted: boolean): void {
    const events = this.#events[place]! | (isWanted ? EPOLLOUT : 0);
    this.system.watchFor(this.#epoll, fd, place, this.#generations[place]!, events);
  }

  close(fd: number, place: number): void {
    this.#forget(place);
    this.closeDescriptor(fd);
  }

  /** Others may have the socket, and this one would hear of what comes to them. */
  override closeAtOnce(fd: number, place: number): void {
    this.release(fd, place);
    this.closeDescriptor(fd);
  }

  release(fd: number, place: number): void {
    this.#forget(place);
    this.system.unwatch(this.#epoll, fd);
  }

  flow(fd: number, options?: SocketFlowOptions): EpollFlow {
    return new EpollFlow(this, fd, options);
  }

  protected get isHolding(): boolean {
    return this.#watched > 0;
  }

  protected wait(timeout: number): void {
    this.#count = this.system.wait(this.#epoll, this.#told, timeout);
  }

  protected get happened(): number {
    return this.#count;
  }

  protected tell(): void {
    const events = this.#told;
    for (let i = 0, n = this.#count; i < n; i++) {
      const place = events.slot(i);
      // Else it is of one that was closed meanwhile, whose place is another's.
      if (this.#generations[place] !== events.generation(i)) continue;
      try {
        this.#pollables[place]?.onEvents(events.flags(i));
      } catch (error) {
        reportError(error); // a fault of one, which is not to be that of all
      }
    }
    this.#count = 0;
  }

  /** What it says is served: each event is told once. */
  protected async sleep(): Promise<void> {
    const n = await this.system.waitInPool(this.#epoll, this.#sleepEvents, SLEEP);
    // Rounds of meanwhile have been told what they brought.
    [this.#told, this.#sleepEvents] = [this.#sleepEvents, this.#told];
    this.#count = n;
  }

  protected free(): void {
    this.system.close(this.#epoll);
    this.#epoll = -1;
  }

  #forget(place: number): void {
    this.#pollables[place] = undefined;
    this.#generations[place] = (this.#generations[place]! + 1) | 0;
    this.#free.push(place);
    if (--this.#watched === 0) this.idle();
  }
}
