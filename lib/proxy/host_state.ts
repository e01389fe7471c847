import { type Check, formatAddress, type Host } from "../config.ts";

/** Failures to connect in a row after which a host is out. */
const FAILURES = 5;
/** How long it is out the first time, and at the most, in milliseconds. */
const FIRST_OUT = 10_000;
const LONGEST_OUT = 300_000;

/** What a host is doing, for people. `down`: its checks fail. `out`: connecting failed too often of late. */
export type HostStatus = "up" | "down" | "out" | "drain";

/** A host, and how it is. */
export class HostState {
  host: Host;
  /** Sessions that go to it. */
  sessions = 0;
  /** Times that connecting to it failed. */
  failures = 0;
  /** For the choice in turn: see `Upstreams`. */
  credit = 0;
  #failuresInRow = 0;
  #outUntil = -Infinity;
  /** How long it is out the next time. */
  #nextOut = FIRST_OUT;
  #down = false;
  /** Checks in a row that say other than `#down`. */
  #against = 0;

  constructor(host: Host) {
    this.host = host;
  }

  /** Where it is, for people. */
  get address(): string {
    return formatAddress(this.host.addr);
  }

  /** How it is at `now`, in milliseconds. */
  status(now: number): HostStatus {
    if (this.host.drain) return "drain";
    if (this.#down) return "down";
    return now < this.#outUntil ? "out" : "up";
  }

  /** Whether it may get another session, if it is up. */
  get hasRoom(): boolean {
    const { drain, maxSessions } = this.host;
    return !drain && (maxSessions === 0 || this.sessions < maxSessions);
  }

  /** Says that connecting to it succeeded. */
  succeeded(): void {
    this.#failuresInRow = 0;
    this.#nextOut = FIRST_OUT;
    this.#outUntil = -Infinity;
  }

  /** Says that connecting to it failed. Gives for how many milliseconds it is out from now on; 0: it is not, or not if `mayGoOut` is false. */
  failed(now: number, mayGoOut: boolean): number {
    this.failures++;
    this.#failuresInRow++;
    if (this.#failuresInRow < FAILURES || now < this.#outUntil || !mayGoOut) return 0;
    const time = this.#nextOut;
    this.#failuresInRow = 0;
    this.#nextOut = Math.min(2 * time, LONGEST_OUT);
    this.#outUntil = now + time;
    return time;
  }

  /** Says what a check found. Gives whether that changed its status. */
  checked(ok: boolean, { rise, fall }: Check): boolean {
    this.#against = ok === this.#down ? this.#against + 1 : 0;
    if (this.#against < (this.#down ? rise : fall)) return false;
    this.#down = !this.#down;
    this.#against = 0;
    return true;
  }

  /** Forgets what checks found: there are none any more. */
  unchecked(): void {
    this.#down = false;
    this.#against = 0;
  }
}
