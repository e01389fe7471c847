import type { Pollable, Poller } from "../poller.ts";
import type { DatagramCalls } from "./datagram_calls.ts";
import type { NativePeer } from "./native_peer.ts";
import { Outgoing } from "./outgoing.ts";

/** A socket that sends what it has in the queue. */
export interface Sender {
  /** Sends all of a batch: gives whether it is empty then; else it is the sender's from now on. */
  transmit(batch: Outgoing): boolean;
}

/** What the sockets of a thread are to send in this round: of one of them at a time, so that many do not need much. */
export class SendQueue implements Pollable {
  readonly #poller: Poller;
  readonly #calls: DatagramCalls;
  #batch: Outgoing;
  #sender: Sender | undefined;
  #isAsked = false;
  #isInRound = false;

  constructor(poller: Poller, calls: DatagramCalls) {
    this.#poller = poller;
    this.#calls = calls;
    this.#batch = new Outgoing(calls);
  }

  /** What is added from now on goes at `end`. */
  begin(): void {
    this.#isInRound = true;
  }

  end(): void {
    this.#isInRound = false;
    this.flush();
  }

  /** Copies a datagram, which goes in the next round at the latest. Gives whether there was room. */
  add(sender: Sender, bytes: Uint8Array, peer: NativePeer | undefined): boolean {
    if (this.#sender !== sender) this.flush();
    this.#sender = sender;
    if (!this.#batch.add(bytes, peer)) return false;
    if (!this.#isInRound && !this.#isAsked) {
      this.#isAsked = true;
      this.#poller.again(this);
    }
    return true;
  }

  /** Sends what there is, of whoever it is. */
  flush(): void {
    const sender = this.#sender;
    this.#sender = undefined;
    if (sender && !sender.transmit(this.#batch)) this.#batch = new Outgoing(this.#calls);
  }

  /** Of what is in the queue, if that is this sender's. */
  flushOf(sender: Sender): void {
    if (this.#sender === sender) this.flush();
  }

  onEvents(): void {}

  serve(): void {
    this.#isAsked = false;
    this.flush();
  }
}
