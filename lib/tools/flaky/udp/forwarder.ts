import type { Clock } from "../token_bucket.ts";
import type { DatagramWay } from "./datagram_way.ts";

/** Sends what comes out of a way when it is due, one after the other. */
export class Forwarder {
  readonly #way: DatagramWay;
  readonly #send: (datagram: Uint8Array) => Promise<void>;
  readonly #clock: Clock;
  #cancel = () => {};
  #isSending = false;
  #running = Promise.resolve();
  #isStopped = false;

  /** `send` must not reject. */
  constructor(way: DatagramWay, send: (datagram: Uint8Array) => Promise<void>, clock: Clock) {
    this.#way = way;
    this.#send = send;
    this.#clock = clock;
  }

  /** A datagram came; it is copied. */
  put(datagram: Uint8Array): void {
    this.#way.put(datagram, this.#clock.now());
    this.#go();
  }

  /** Drops what is under way; settles when nothing is being sent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#running;
  }

  #go(): void {
    if (!this.#isSending) this.#running = this.#run();
  }

  async #run(): Promise<void> {
    this.#cancel();
    this.#isSending = true;
    while (!this.#isStopped) {
      const datagram = this.#way.take(this.#clock.now());
      if (!datagram) break;
      await this.#send(datagram);
    }
    this.#isSending = false;
    const wait = this.#way.due - this.#clock.now();
    if (this.#isStopped || wait === Infinity) return;
    this.#cancel = this.#clock.after(Math.ceil(wait), () => this.#go());
  }
}
