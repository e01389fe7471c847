const LEAST_THRESHOLD = 2;

/** As plain data. */
export interface CongestionSnapshot {
  threshold: number;
  bytes: number;
  window: number;
}

/** How many segments may be in flight so that the path is not overrun (RFC 5681, as KCP has it). */
export class Congestion {
  readonly #segment: number;
  #threshold = LEAST_THRESHOLD;
  /** What the window is made of: it grows by less than a segment at a time. */
  #bytes: number;
  /** In segments. */
  window = 1;

  /** `segment`: the most data of a segment, in bytes. */
  constructor(segment: number) {
    this.#segment = this.#bytes = segment;
  }

  get snapshot(): CongestionSnapshot {
    return { threshold: this.#threshold, bytes: this.#bytes, window: this.window };
  }

  /** Is from now on as that one was. */
  goOnFrom({ threshold, bytes, window }: CongestionSnapshot): void {
    this.#threshold = threshold;
    this.#bytes = bytes;
    this.window = window;
  }

  /** A datagram acknowledged segments. Up to the threshold the window grows by one each time, then by about one a round trip. */
  onAcknowledged(remoteWindow: number): void {
    if (this.window >= remoteWindow) return;
    const segment = this.#segment;
    if (this.window < this.#threshold) {
      this.window++;
      this.#bytes += segment;
    } else {
      this.#bytes = Math.max(this.#bytes, segment);
      this.#bytes += Math.floor(segment * segment / this.#bytes) + (segment >> 4);
      if ((this.window + 1) * segment <= this.#bytes) this.window++;
    }
  }

  /** Segments were sent again, as later ones were acknowledged. `resend`: how many later ones made it so. */
  onResent(inFlight: number, resend: number): void {
    this.#threshold = Math.max(inFlight >> 1, LEAST_THRESHOLD);
    this.#set(this.#threshold + resend);
  }

  /** Segments were sent again, as their time was over. `window`: how many could be in flight. */
  onTimeout(window: number): void {
    this.#threshold = Math.max(window >> 1, LEAST_THRESHOLD);
    this.#set(1);
  }

  #set(window: number): void {
    this.window = window;
    this.#bytes = window * this.#segment;
  }
}
