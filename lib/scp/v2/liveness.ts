/** Milliseconds: a side that has something unacknowledged and has heard nothing for so long asks. */
const UNACKED = 5000;

export interface LivenessOptions {
  /** Milliseconds without a word of either side after which this one sends a PING; 0: it sends none. */
  pingInterval: number;
  /** Milliseconds after a PING without a word of the other side after which the link is lost. */
  pingTimeout: number;
}

/** How it is with the session at a look. */
export interface Standing {
  /** An ACK would say something new. */
  owesAck: boolean;
  /** The other side has not acknowledged all. */
  isUnacked: boolean;
  /** The position up to which the stream was received. */
  received: number;
}

/** How long ago things were, in milliseconds, as plain data. */
export interface LivenessSnapshot {
  heardFor: number;
  saidFor: number;
  /** Missing: no PING is unanswered. */
  pingFor: number | undefined;
  isHeard: boolean;
  isSaid: boolean;
  received: number;
}

/** What is to be done. */
export type Duty = "ping" | "ack" | "lost" | undefined;

/**
 * Tells a link that is dead from one that is quiet, and says when something is to be said (protocol: Version 2: Liveness). It goes by
 * looks, one a second: what happens costs nothing between them but a mark. So an ACK is said within a second, and while bytes of the
 * stream come something is said every two. Not so for other bytes: two ends that are idle would answer each other's ACKs for ever.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  /** Something was heard, or said, since the last look. */
  #isHeard = false;
  #isSaid = false;
  #heardAt: number;
  #saidAt: number;
  /** When the first PING was sent since something was heard. */
  #pingAt: number | undefined;
  /** What was received at the last look. */
  #received = 0;

  /** Of a link that is new. `now`: milliseconds, from any start. */
  constructor(options: LivenessOptions, now: number) {
    this.#options = options;
    this.#heardAt = this.#saidAt = now;
  }

  /** That of a link which goes on elsewhere, where the clock may be another. */
  static restore(options: LivenessOptions, now: number, snapshot: LivenessSnapshot): Liveness {
    const liveness = new Liveness(options, now);
    liveness.#heardAt = now - snapshot.heardFor;
    liveness.#saidAt = now - snapshot.saidFor;
    if (snapshot.pingFor !== undefined) liveness.#pingAt = now - snapshot.pingFor;
    [liveness.#isHeard, liveness.#isSaid] = [snapshot.isHeard, snapshot.isSaid];
    liveness.#received = snapshot.received;
    return liveness;
  }

  snapshotAt(now: number): LivenessSnapshot {
    return {
      heardFor: now - this.#heardAt,
      saidFor: now - this.#saidAt,
      pingFor: this.#pingAt === undefined ? undefined : now - this.#pingAt,
      isHeard: this.#isHeard,
      isSaid: this.#isSaid,
      received: this.#received,
    };
  }

  /** Bytes came. */
  heard(): void {
    this.#isHeard = true;
  }

  /** Bytes went. */
  said(): void {
    this.#isSaid = true;
  }

  /**
   * What is to be done now: to be asked once a second. "lost" is said again and again, until something is heard after all.
   */
  look(now: number, { owesAck, isUnacked, received }: Standing): Duty {
    if (this.#isHeard) {
      this.#heardAt = now;
      this.#pingAt = undefined;
    }
    const wasSaid = this.#isSaid;
    if (wasSaid) this.#saidAt = now;
    this.#isHeard = this.#isSaid = false;
    const hasReceived = received !== this.#received;
    this.#received = received;
    const { pingTimeout } = this.#options;
    if (this.#pingAt !== undefined && now - this.#pingAt >= pingTimeout) return "lost";
    if (this.#isPingDue(now, isUnacked)) {
      this.#pingAt ??= now;
      this.#isSaid = true;
      return "ping";
    }
    return owesAck || (hasReceived && !wasSaid) ? "ack" : undefined;
  }

  #isPingDue(now: number, isUnacked: boolean): boolean {
    const { pingInterval } = this.#options;
    if (pingInterval === 0 || this.#pingAt !== undefined) return false;
    const silence = now - this.#heardAt;
    return silence >= pingInterval || now - this.#saidAt >= pingInterval || (isUnacked && silence >= UNACKED);
  }
}
