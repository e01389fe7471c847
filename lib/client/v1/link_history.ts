import type { Bytes } from "../connection.ts";
import { backoff } from "../backoff.ts";

/** A link that lived so long, in milliseconds, was one, also when it carried nothing. */
const LIVED = 5000;
/** Ends of stream in a row, each right after a resume, that are the end also when the server may have lacked something. */
const ENDS = 3;

/** What became of the links of a session so far, and what that makes of the loss of one. */
export class LinkHistory {
  /** The pauses since the last link that was one, and when that was lost. */
  #pauses = 0;
  #lostAt = performance.now();
  /** Of the link there is, or was last: since when, and what had been received and sent, and was held by the server, then. */
  #since = this.#lostAt;
  #before = { received: 0, sent: 0, held: 0 };
  /** What had been received, and was held by the server, at the last end of stream; and how many came there in a row. */
  #endedAt = { received: -1, held: -1 };
  #ends = 0;

  /** Milliseconds to pause before the next attempt. `random`: see `backoff`. */
  nextPause(random: () => number): number {
    return backoff(this.#pauses++, random);
  }

  /** Whether there was a pause since the last link that was one. */
  get hasPaused(): boolean {
    return this.#pauses > 0;
  }

  /** Milliseconds since there was a link that was one. */
  get away(): number {
    return performance.now() - this.#lostAt;
  }

  /** The session was alive until now: what comes from now on is a trouble of its own. */
  goesOn(): void {
    this.#pauses = 0;
    this.#lostAt = performance.now();
  }

  /** Another link has taken the place of the last; the server held so much of what was sent. */
  resumed({ received, sent }: Bytes, held: number): void {
    this.#since = performance.now();
    // What it has got since is carried by a link that was one.
    if (held !== this.#before.held) this.goesOn();
    this.#before = { received, sent, held };
  }

  /** Whether the link, which is lost just now, was one. */
  hasLived({ received }: Bytes): boolean {
    return received !== this.#before.received || performance.now() - this.#since >= LIVED;
  }

  /**
   * Whether a link that has come to an end of stream tells that the session has: it was resumed after another end, and ended
   * again soon and without a byte (protocol: The end). Networks end streams too, so a server that lacked nothing, and was sent
   * nothing, is believed at once, and another one when it says so again and again.
   */
  isTheEnd({ received, sent }: Bytes): boolean {
    const { held } = this.#before;
    const quiet = held === this.#before.sent && held === sent;
    const isLikeTheLast = this.#endedAt.received === received && (quiet || this.#endedAt.held === held);
    this.#ends = isLikeTheLast && !this.hasLived({ received, sent }) ? this.#ends + 1 : 0;
    this.#endedAt = { received, held };
    return this.#ends >= (quiet ? 1 : ENDS);
  }
}
