import { type Check, formatAddress, type Host } from "../../config.ts";
import { type HostCells, ownHostCells } from "../shared_state.ts";

/** Failures to connect in a row after which a host is out. */
const FAILURES = 5;
/** How long it is out the first time, and at the most, in milliseconds. */
const FIRST_OUT = 10_000;
const LONGEST_OUT = 300_000;

/** What a host is doing, for people. `down`: its checks fail. `out`: connecting failed too often of late. */
export type HostStatus = "up" | "down" | "out" | "drain";

/** Where in `times` of its cells it stands until when it is out, and for how long it will be the next time; 0: see `FIRST_OUT`. */
const OUT_UNTIL = 0;
const NEXT_OUT = 1;

/** How a host is, as plain data; durations in milliseconds. */
export interface HostSnapshot {
  failures: number;
  failuresInRow: number;
  isDown: boolean;
  /** For how long it is out yet, and will be the next time; 0: it is not, and see `FIRST_OUT`. */
  outLeft: number;
  nextOut: number;
}

/** What is known of a host at `now`, but for the sessions that go to it. */
export function hostSnapshot({ failures, failuresInRow, down, times }: HostCells, now: number): HostSnapshot {
  return {
    failures: failures.value,
    failuresInRow: failuresInRow.value,
    isDown: down.value === 1,
    outLeft: Math.max(0, times[OUT_UNTIL]! - now),
    nextOut: times[NEXT_OUT]!,
  };
}

/** Adds what was known of a host to what is. */
export function addHostSnapshot(cells: HostCells, host: HostSnapshot, now: number): void {
  const { failures, failuresInRow, isDown, outLeft, nextOut } = host;
  cells.failures.add(failures);
  cells.failuresInRow.add(failuresInRow);
  if (isDown) cells.down.set(1);
  if (outLeft > 0) cells.times[OUT_UNTIL] = Math.max(cells.times[OUT_UNTIL]!, now + outLeft);
  cells.times[NEXT_OUT] = Math.max(cells.times[NEXT_OUT]!, nextOut);
}

/** A host, and how it is, which all threads know. */
export class HostState {
  host: Host;
  /** For the choice in turn: see `Upstreams`. */
  credit = 0;
  #cells: HostCells;
  /** Checks in a row that say other than that it is down, or up. */
  #against = 0;

  /** `cells`: by default its own. */
  constructor(host: Host, cells: HostCells = ownHostCells()) {
    this.host = host;
    this.#cells = cells;
  }

  /** Sessions that go to it. */
  get sessions(): number {
    return this.#cells.sessions.value;
  }

  /** Times that connecting to it failed. */
  get failures(): number {
    return this.#cells.failures.value;
  }

  /** Counts a session that goes to it, or is about to. Gives false, and has not, when it may not get another. */
  begin(): boolean {
    const { drain, maxSessions } = this.host;
    if (drain) return false;
    // Counted first: another thread may be about to take the same last place.
    if (this.#cells.sessions.add(1) <= maxSessions || maxSessions === 0) return true;
    this.end();
    return false;
  }

  /** Counts a session that goes to it already. */
  take(): void {
    this.#cells.sessions.add(1);
  }

  /** Counts a session off again. */
  end(): void {
    this.#cells.sessions.add(-1);
  }

  /** Is counted by other cells from now on, to which it brings what is known of it here. */
  moveTo(cells: HostCells): void {
    cells.sessions.add(this.sessions);
    addHostSnapshot(cells, hostSnapshot(this.#cells, 0), 0);
    this.#cells = cells;
  }

  /** Where it is, for people. */
  get address(): string {
    return formatAddress(this.host.addr);
  }

  /** How it is at `now`, in milliseconds. */
  status(now: number): HostStatus {
    if (this.host.drain) return "drain";
    if (this.#isDown) return "down";
    return now < this.#outUntil ? "out" : "up";
  }

  /** Whether it may get another session, if it is up. */
  get hasRoom(): boolean {
    const { drain, maxSessions } = this.host;
    return !drain && (maxSessions === 0 || this.sessions < maxSessions);
  }

  /** Says that connecting to it succeeded. */
  succeeded(): void {
    const { failuresInRow, times } = this.#cells;
    failuresInRow.set(0);
    times.fill(0);
  }

  /** Says that connecting to it failed. Gives for how many milliseconds it is out from now on; 0: it is not, or not if `mayGoOut` is false. */
  failed(now: number, mayGoOut: boolean): number {
    const { failures, failuresInRow, times } = this.#cells;
    failures.add(1);
    if (failuresInRow.add(1) < FAILURES || now < this.#outUntil || !mayGoOut) return 0;
    const time = times[NEXT_OUT] || FIRST_OUT;
    failuresInRow.set(0);
    times[NEXT_OUT] = Math.min(2 * time, LONGEST_OUT);
    times[OUT_UNTIL] = now + time;
    return time;
  }

  /** Says what a check found. Gives whether that changed its status. */
  checked(ok: boolean, { rise, fall }: Check): boolean {
    const isDown = this.#isDown;
    this.#against = ok === isDown ? this.#against + 1 : 0;
    if (this.#against < (isDown ? rise : fall)) return false;
    this.#cells.down.set(isDown ? 0 : 1);
    this.#against = 0;
    return true;
  }

  /** Forgets what checks found: there are none any more. */
  unchecked(): void {
    this.#cells.down.set(0);
    this.#against = 0;
  }

  get #isDown(): boolean {
    return this.#cells.down.value === 1;
  }

  get #outUntil(): number {
    return this.#cells.times[OUT_UNTIL]!;
  }
}

/** Two hosts are the same one when they have the same name and address. */
export function keyOf({ name, addr }: Host): string {
  return `${name} ${formatAddress(addr)}`;
}
