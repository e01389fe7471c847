/** Cells before those of hosts. */
const HOSTS_AT = 8;
/** 32-bit cells of a host, before its two of 64 bits. */
const HOST_INTS = 4;
const HOST_BYTES = 4 * HOST_INTS + 2 * 8;
/** Hosts that can be counted by all threads together; each thread counts those beyond for itself. */
export const MOST_HOSTS = 4096;

/** Milliseconds, of the same start in every thread: what the times of hosts are by. */
export function nowOfThreads(): number {
  return performance.timeOrigin + performance.now();
}

/** A number that several threads add to. */
export class Counter {
  readonly #cells: Int32Array;
  readonly #index: number;

  constructor(cells: Int32Array, index: number) {
    this.#cells = cells;
    this.#index = index;
  }

  get value(): number {
    return Atomics.load(this.#cells, this.#index);
  }

  /** Adds `n`, and gives what comes of it. */
  add(n: number): number {
    return Atomics.add(this.#cells, this.#index, n) + n;
  }

  set(n: number): void {
    Atomics.store(this.#cells, this.#index, n);
  }
}

/** What is known of a host by all threads. */
export interface HostCells {
  sessions: Counter;
  failures: Counter;
  failuresInRow: Counter;
  /** 1: its checks fail. */
  down: Counter;
  /** Until when it is out, and for how long it will be the next time, in milliseconds. */
  times: Float64Array;
}

/** What limits and the choice of a host go by, whichever thread a session is in. */
export class SharedState {
  /** To be given to other threads, each of which makes its own `SharedState` of it. */
  readonly buffer: SharedArrayBuffer;
  readonly sessions: Counter;
  readonly handshakes: Counter;
  /** Of all resend caches, in units of `CACHE_UNIT` bytes: now, and the most so far. */
  readonly cache: Counter;
  readonly cacheHighWater: Counter;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4 * HOSTS_AT + MOST_HOSTS * HOST_BYTES)) {
    this.buffer = buffer;
    const cells = new Int32Array(buffer, 0, HOSTS_AT);
    [this.sessions, this.handshakes, this.cache, this.cacheHighWater] = [0, 1, 2, 3].map((i) =>
      new Counter(cells, i)
    ) as [Counter, Counter, Counter, Counter];
  }

  /** The cells of the host that has a slot, of [0, `MOST_HOSTS`): see `HostSlots`. */
  host(slot: number): HostCells {
    return cellsIn(this.buffer, placeOf(slot));
  }

  /** Forgets what is known of the host that had a slot. */
  clear(slot: number): void {
    new Uint8Array(this.buffer, placeOf(slot), HOST_BYTES).fill(0);
  }
}

/** Bytes of a resend cache that are counted as one, so that 32 bits can count all of them. */
export const CACHE_UNIT = 256;

/** Those of a host that no other thread has. */
export function ownHostCells(): HostCells {
  return cellsIn(new SharedArrayBuffer(HOST_BYTES), 0);
}

function placeOf(slot: number): number {
  return 4 * HOSTS_AT + slot * HOST_BYTES;
}

function cellsIn(buffer: SharedArrayBuffer, at: number): HostCells {
  const ints = new Int32Array(buffer, at, HOST_INTS);
  const [sessions, failures, failuresInRow, down] = [0, 1, 2, 3].map((i) => new Counter(ints, i)) as [
    Counter,
    Counter,
    Counter,
    Counter,
  ];
  return { sessions, failures, failuresInRow, down, times: new Float64Array(buffer, at + 4 * HOST_INTS, 2) };
}
