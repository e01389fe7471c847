import { FrameError, FrameReader, type FrameSink } from "../../../scp/v2/frame.ts";
import { Broken } from "../probe.ts";

const TWO_TO_32 = 2 ** 32;

/** What a server has said in a session, and what of it is against the protocol whenever it is said: that throws `Broken`. */
export class Hearing implements FrameSink {
  /** The position after the last one of the server's stream that was received; its end takes one too. */
  received = 0;
  /** The last ACK that was sent, and the window: the server is held to these. */
  said = 0;
  readonly window: number;
  /** The position after the last one that was sent; and up to which the server has acknowledged. */
  sent = 0;
  acked = 0;
  /** ACKs and PINGs that came over all; and those that came over this link. */
  acks = 0;
  pings = 0;
  /** The numbers of the PONGs, and of the PINGs that were not answered yet. */
  readonly pongs: number[] = [];
  readonly unanswered: number[] = [];
  hasEnded = false;
  closed: { code: number; reason: string } | undefined;
  readonly #reader = new FrameReader();

  constructor(window: number) {
    this.window = window;
  }

  /** The next bytes are the first of a link. */
  reset(): void {
    this.#reader.reset();
    this.unanswered.length = 0;
  }

  /** Hears what came, and gives those bytes of it that are the stream's. */
  hear(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    try {
      const fresh = this.#reader.read(bytes, this);
      this.received += fresh.length;
      return fresh;
    } catch (error) {
      throw error instanceof FrameError ? new Broken(`the server sent ${error.message}`) : error;
    }
  }

  onData(count: number, before: number): void {
    if (this.hasEnded) throw new Broken("the server sent a DATA after its FIN");
    this.#assertRoom(this.received + before + count);
  }

  onFin(before: number): void {
    if (this.hasEnded) throw new Broken("the server sent two FINs");
    this.#assertRoom(this.received + before + 1);
    this.hasEnded = true;
    this.received++;
  }

  onAck(position: number): void {
    const more = (position - this.acked % TWO_TO_32 + TWO_TO_32) % TWO_TO_32;
    if (this.acked + more > this.sent) {
      throw new Broken(`an ACK of ${position} came, where ${this.acked} were acknowledged and ${this.sent} sent`);
    }
    this.acked += more;
    this.acks++;
  }

  onPing(number: number): void {
    this.pings++;
    this.unanswered.push(number);
  }

  onPong(number: number): void {
    this.pongs.push(number);
  }

  onClose(code: number, reason: string): void {
    this.closed = { code, reason };
  }

  onMove(): void {}

  #assertRoom(position: number): void {
    const end = this.said + this.window;
    if (position > end) throw new Broken(`the server sent up to position ${position}, where the window ends at ${end}`);
  }
}
