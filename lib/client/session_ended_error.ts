import { meaningOf } from "../scp/v2/mod.ts";

/**
 * A session of version 2 that was lost, or ended by the other end before it came to its end in order. `code` says how: 1: the proxy
 * shuts down; 2: the backend broke off, or could not be had; 3: an operator ended it; 4: a violation of the protocol; 5: a limit; 6:
 * the client was away for too long; 7: the other end gave up. There may be others.
 */
export class SessionEndedError extends Error {
  override readonly name = "SessionEndedError";
  readonly code: number;

  /** `detail`: what else is known, or nothing. */
  constructor(code: number, detail: string) {
    super(`the session was lost: ${meaningOf(code)}${detail && ` (${detail})`}`);
    this.code = code;
  }
}
