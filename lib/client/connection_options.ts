import type { Link } from "../link/link.ts";
import type { Dialect } from "../scp/mod.ts";

/** What became of a link that was lost: how often it was tried, and how many bytes were sent again. */
export interface Resumption {
  attempts: number;
  /** Milliseconds from the loss. */
  gap: number;
  resent: number;
}

/** See `ConnectionOptions.cacheSize`. */
export const CACHE_SIZE: number = 2 ** 20;
/** See `ConnectionOptions.silence`. */
export const SILENCE: number = 10_000;

export interface ConnectionOptions {
  /** Opens a link to the proxy; gives up when the signal says so. */
  dial: (signal: AbortSignal) => Promise<Link>;
  /** The backend to prefer: `[a-zA-Z_0-9]*`. Default: none. */
  target?: string;
  /** See `FLAG_FORBID_ANNOUNCE`. Default 0. */
  flag?: number;
  /** Default `goscon`. */
  dialect?: Dialect;
  /**
   * The most bytes sent that are kept to be sent again. What the network may hold of them on its way must fit, or a cut
   * can cost the session. Default 1 MiB; it is used as it fills.
   */
  cacheSize?: number;
  /** Milliseconds for one attempt, from dialling to the answer. Default 10 s. */
  handshakeTimeout?: number;
  /**
   * Milliseconds after which a link is taken for dead over which something was written, and nothing has come since: another one is
   * dialled, and takes its place. One that was well costs a resume: each such makes the next time twice as long, up to 32 times,
   * until a resume finds that something was missing. Not while nobody reads, nor while the network may hold more of what was
   * written than `cacheSize`: a resume could cost the session. Default 10 s; 0: never.
   */
  silence?: number;
  /** Milliseconds without a link, but such as die at once, after which the session is given up. Default 60 s. */
  giveUpAfter?: number;
  /**
   * The server forgets a session as soon as it ends, as the Go program does: a 404 right after an end of stream is the end
   * in order. Without, such a 404 tells that the session is lost, and nobody knows what of it. Default false.
   */
  serverForgets?: boolean;
  /** Gives the opening up, which then rejects with its reason. */
  signal?: AbortSignal;
  /** Called when the link is lost, and why. */
  onLost?: (reason: string) => void;
  /** Called when another link has taken its place. */
  onResumed?: (resumption: Resumption) => void;
  /** Called once, at the end: with `undefined` when the session came to its end in order, else with why. */
  onClosed?: (error: unknown) => void;
  /** A number of [0, 1). */
  random?: () => number;
}
