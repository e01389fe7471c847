import { ScpError } from "../../scp/error.ts";
import type { AckedSession } from "../../scp/v2/mod.ts";
import { backoff } from "../backoff.ts";

/** A link that lived so long, in milliseconds, was one, also when it carried nothing. */
const LIVED = 5000;
/** So many answers in a row that the session is not known are the end. */
const NOT_FOUND = 3;

/** What a link carries leaves its mark here. */
export type Seen = Pick<AckedSession, "received" | "acked">;

/** Whether anything came between the two. */
export function isSame(one: Seen, other: Seen): boolean {
  return one.received === other.received && one.acked === other.acked;
}

/** What became of a session's links, and of the attempts to have another one. */
export class Attempts {
  readonly #limit: number;
  /** Pauses since the last link that lived; and what was seen when the last one came, and when that was. */
  #pauses = 0;
  #before: Seen = { received: 0, acked: 0 };
  #linkedAt = 0;
  /** When the last one was lost, or it was decided to replace it. */
  #since = 0;
  #notFound = 0;

  /** `limit`: milliseconds after a loss until the session is given up. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Milliseconds since the loss. */
  get gap(): number {
    return performance.now() - this.#since;
  }

  get isTooLong(): boolean {
    return this.gap > this.#limit;
  }

  /** Why no further attempt is to be made when there is no link, if so. */
  get end(): string | undefined {
    if (this.isTooLong) return `gave up after ${this.#limit} ms`;
    return this.#notFound >= NOT_FOUND ? "the server does not know the session" : undefined;
  }

  /** A link is there. */
  linked({ received, acked }: Seen): void {
    this.#before = { received, acked };
    this.#linkedAt = performance.now();
    this.#notFound = 0;
  }

  /** It is lost. */
  lost(seen: Seen): void {
    this.begin();
    if (!isSame(seen, this.#before) || this.#since - this.#linkedAt >= LIVED) this.hurried();
  }

  /** It is to be replaced. */
  begin(): void {
    this.#since = performance.now();
  }

  /** Milliseconds to pause before the next attempt. */
  nextPause(random: () => number): number {
    return backoff(this.#pauses++, random);
  }

  /** The pauses begin with the shortest again. */
  hurried(): void {
    this.#pauses = 0;
  }

  /** One failed; `isElsewhere`: not where the session was. */
  failed(error: unknown, isElsewhere: boolean): void {
    const isNotFound = error instanceof ScpError && error.code === 404 && !isElsewhere;
    this.#notFound = isNotFound ? this.#notFound + 1 : 0;
  }
}
