import type { FlowingLink } from "../link/flow.ts";
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
/** See `ConnectionOptions.handshakeTimeout`. */
export const HANDSHAKE_TIMEOUT: number = 10_000;

/** Opens a link to the proxy; gives up when the signal says so. The caller owns the link. */
export type Dial = (signal: AbortSignal) => Promise<Link>;

/** As `Dial`; what it opens is a flow below. */
export type FlowingDial = (signal: AbortSignal) => Promise<FlowingLink>;

export interface ConnectionOptions<D = Dial> {
  /** Opens the links. */
  dial: D;
  /**
   * How to open links to where a server of version 2 wants the client to move, by a URL; `undefined`: not by this one. Without, it
   * resumes where it was.
   */
  dialUrl?: ((url: string) => D | undefined) | undefined;
  /**
   * The version of the protocol. "auto", the default, asks for 2 and takes 1 when the server answers so; where there is no WebCrypto,
   * as on pages that are neither https nor localhost, it does not ask. 2 refuses whatever is less, also one that somebody made of it
   * on the way. 1 does not ask.
   */
  version?: 1 | 2 | "auto";
  /** The backend to prefer: `[a-zA-Z_0-9]*`. Default: none. */
  target?: string;
  /** See `FLAG_FORBID_ANNOUNCE`. Default 0. */
  flag?: number;
  /** Default `goscon`. */
  dialect?: Dialect;
  /**
   * The most bytes sent that are kept to be sent again. In version 1, what the network may hold of them on its way must fit, or a cut
   * can cost the session; in version 2 no more is under way, and it has 65,536 at least. Default 1 MiB; it is used as it fills.
   */
  cacheSize?: number;
  /** Milliseconds for one attempt, from dialling to the answer. Default 10 s. */
  handshakeTimeout?: number;
  /** Version 2: the most bytes that wait here while nobody reads, 4,096 to 16,777,216. Default 256 KiB; it is used as it fills. */
  window?: number;
  /**
   * Version 2: milliseconds without a word after which the link is asked whether it is alive; 0: it is not. The shorter of this and
   * the server's counts, and of 5 s while something is not acknowledged. Default 15 s.
   */
  pingInterval?: number;
  /** Version 2: milliseconds without an answer after which it is taken for dead, and another one is dialled. Default 10 s. */
  pingTimeout?: number;
  /**
   * Version 2: this end's direction stays open when the other end has ended its own, until `closeWrite`. Default false: it ends when
   * all that came was read.
   */
  allowHalfOpen?: boolean;
  /**
   * Version 1: milliseconds after which a link is taken for dead over which something was written, and nothing has come since: another
   * one is dialled, and takes its place. One that was well costs a resume: each such makes the next time twice as long, up to 32 times,
   * until a resume finds that something was missing. Not while nobody reads, nor while the network may hold more of what was
   * written than `cacheSize`: a resume could cost the session. It is looked four times, so it may take a quarter more. Default 10 s;
   * 0: never. Over `kcp://` in both versions also: one over which nothing comes for so long, though the server is asked for an answer.
   */
  silence?: number;
  /**
   * Milliseconds without a link, but in version 1 such as die at once, after which the session is given up. Default in version 1: 60 s.
   * In version 2: the `reuse_time` that the server says, and no more than that.
   */
  giveUpAfter?: number;
  /**
   * Version 1: the server forgets a session as soon as it ends, as the Go program does: a 404 right after an end of stream is the end
   * in order. Without, such a 404 tells that the session is lost, and nobody knows what of it. Default false.
   */
  serverForgets?: boolean;
  /** Gives the opening up, which then rejects with its reason. */
  signal?: AbortSignal;
  /** Called when the link is lost, and why. */
  onLost?: (reason: string) => void;
  /** Called when another link has taken its place. */
  onResumed?: (resumption: Resumption) => void;
  /**
   * Called once, at the end: with `undefined` when the session came to its end in order, else with why. In version 2, after `close`,
   * when the other end knows of it, or cannot be told.
   */
  onClosed?: (error: unknown) => void;
  /** A number of [0, 1). */
  random?: () => number;
}

/** The same, over links that are flows below. */
export type FlowingOptions = ConnectionOptions<FlowingDial>;
