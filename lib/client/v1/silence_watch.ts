import type { ResumableStream } from "../../link/resumable.ts";

/** Looks within the time of silence: it is told of up to one more than these late. */
const LOOKS = 4;
/** The longest time of silence, in first ones. */
const LONGEST = 32;
/** The longest first time, in milliseconds, with which no timer gets more than it takes. */
const LONGEST_FIRST = 2 ** 28;
/** The part of the first time within which a link that took another's place brings what was missing. */
const SOON = 1 / 10;

/** More bytes than the systems at both ends of a link usually hold of what its reader does not take. */
const HELD = 16 * 2 ** 20;

export interface SilenceWatchOptions {
  /** See `ConnectionOptions.silence`. */
  silence: number;
  /** The most bytes that can be sent again. */
  cacheSize: number;
  /** Called when the link was silent for so many milliseconds. It is not watched then until `watch` or `resumed`. */
  onSilent: (ms: number) => void;
}

/**
 * Notices that a link is silent which owes an answer: something was written after the last byte was received. The link may be
 * dead, or the backend may have nothing to say; so each silence for which a link is replaced that was well makes the next that is
 * noticed twice as long, up to `LONGEST` first ones.
 *
 * There is one timer while an answer is owed, and none else. What it sees, it compares with what it saw the last time.
 */
export class SilenceWatch {
  readonly #stream: ResumableStream;
  readonly #options: SilenceWatchOptions;
  /** Milliseconds of silence that are noticed: at first; and now. */
  readonly #first: number;
  #silence: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** No answer is owed: the next write begins the watch. */
  #isIdle: boolean;
  /** What had been received at the last write, and what at the last look; and how many looks in a row saw nothing. */
  #atWrite = 0;
  #atLook = 0;
  #looks = 0;
  /** What had been sent at the last look; and what of it has surely arrived, when the link is well: it has taken more since. */
  #sent = 0;
  #arrived = 0;
  /** The link is being replaced for its silence. */
  #isTold = false;

  constructor(stream: ResumableStream, options: SilenceWatchOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#first = this.#silence = Math.min(options.silence, LONGEST_FIRST);
    this.#isIdle = this.#first > 0;
  }

  /** To be called before each write: costs next to nothing. */
  writing(): void {
    this.#atWrite = this.#stream.session.received;
    if (!this.#isIdle) return;
    this.#isIdle = false;
    this.#begin();
  }

  /** Goes on with a link that was left alone until now: because there was none, or it was to be replaced. */
  watch(): void {
    this.#isTold = false;
    if (this.#first > 0) this.#begin();
  }

  /**
   * The same, with a link that is new. `isMissing`: the server lacked something. `wasThere`: it took the place of another, which was
   * not lost.
   */
  resumed({ isMissing, wasThere }: { isMissing: boolean; wasThere: boolean }): void {
    const wasSilent = this.#isTold && wasThere;
    if (isMissing) this.#silence = this.#first;
    if (isMissing || !wasSilent) return this.watch();
    this.#isTold = false;
    this.#silence = Math.min(2 * this.#silence, LONGEST * this.#first);
    const { session } = this.#stream;
    const before = session.received;
    // What comes at once was missing here.
    this.#timer = setTimeout(() => {
      if (session.received !== before) this.#silence = this.#first;
      this.#begin();
    }, SOON * this.#first);
  }

  /** Leaves the link alone, if there is one, until `watch` or `resumed`. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#isIdle = false;
  }

  get #isOwed(): boolean {
    return this.#stream.session.received === this.#atWrite || !this.#stream.isReady;
  }

  #begin(): void {
    this.#isIdle = !this.#isOwed;
    this.#start();
    if (!this.#isIdle) this.#arm();
  }

  /** The silence begins now. */
  #start(): void {
    const { received, sent } = this.#stream.session;
    this.#looks = 0;
    this.#atLook = received;
    this.#sent = this.#arrived = sent;
  }

  #arm(): void {
    this.#timer = setTimeout(() => this.#look(), this.#silence / LOOKS);
  }

  #look(): void {
    const { session, isPaused } = this.#stream;
    // Where nobody reads nothing can be heard.
    if (isPaused || session.received !== this.#atLook) return this.#begin();
    if (session.sent !== this.#sent) this.#arrived = this.#sent;
    this.#sent = session.sent;
    if (++this.#looks < LOOKS || !this.#isSafe) return this.#arm();
    this.#isTold = true;
    this.#options.onSilent(this.#silence);
  }

  /** Whether a link that is well, but whose reader is not, would not cost the session: all that it may hold can be sent again. */
  get #isSafe(): boolean {
    return Math.min(this.#stream.session.sent - this.#arrived, HELD) <= this.#options.cacheSize;
  }
}
