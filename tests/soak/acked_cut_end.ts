import { AckedStream, type StreamUser } from "../../lib/link/acked_stream.ts";
import type { SocketLink } from "../../lib/link/engine/engine.ts";
import { flowOf } from "../../lib/link/pumped_flow.ts";
import { AckedSession } from "../../lib/scp/v2/mod.ts";
import { pattern } from "../helpers/random.ts";
import { assertPattern, type End, type EndOptions, LARGEST_WRITE } from "./cut_end.ts";

const WINDOW = 16 * 1024;
/** Of frames. */
const CACHE = 64 * 1024;
/** PINGs go whenever there is nothing else, and no link is taken for dead. */
const LIVENESS = { pingInterval: 1, pingTimeout: 3_600_000 };

/** As `CutEnd`, of version 2; in the end it ends its direction, and sees that of the other end's. */
export class AckedCutEnd implements End, StreamUser {
  readonly session: AckedSession;
  readonly #stream: AckedStream;
  readonly #options: EndOptions;
  #peer: AckedCutEnd | undefined;
  #link: SocketLink | undefined;
  #isFinishing = false;
  /** Bytes of the other end that were checked, and how many of them were not told of yet. */
  #checked = 0;
  #untold = 0;

  constructor(options: EndOptions) {
    const dialect = options.encrypted ? "goscon" : "plain";
    this.#options = options;
    const sizes = { cacheSize: CACHE, window: WINDOW, peerWindow: WINDOW };
    this.session = new AckedSession({ id: 1, secret: 0x0123456789abcdefn, dialect, ...sizes });
    this.#stream = new AckedStream(this.session, this, { liveness: LIVENESS, soon: options.soon });
  }

  start(peer: AckedCutEnd): void {
    this.#peer = peer;
    this.#write();
  }

  attach(link: SocketLink, received: number, { first = new Uint8Array(0), rest = new Uint8Array(0) }): void {
    this.#link = link;
    this.session.assertPosition(received);
    this.#stream.attach(flowOf(link), { first, received, rest });
  }

  get isAttached(): boolean {
    return this.#stream.isAttached;
  }

  detach(reason: string): void {
    this.#stream.detach(reason);
  }

  cut(isReset: boolean): void {
    if (!this.#stream.isAttached) return;
    if (isReset) this.#link!.reset();
    this.#stream.detach("cut");
  }

  finish(): void {
    this.#isFinishing = true;
    this.#stream.finish();
  }

  get isReceived(): boolean {
    return this.#peer!.session.isReceivedDone;
  }

  close(): void {
    this.#stream.abort();
  }

  readonly take = (bytes: Uint8Array<ArrayBuffer>): number => {
    const { random, soon, onFault } = this.#options;
    // Some of it waits, and so does its ACK.
    const isHeldUp = random.next() < 0.1;
    const count = isHeldUp ? random.int(0, bytes.length - 1) : bytes.length;
    try {
      assertPattern(bytes.subarray(0, count), this.#checked, this.#peer!.#options.number);
    } catch (error) {
      onFault(error as Error);
    }
    if (isHeldUp) soon(() => this.#stream.takeMore());
    this.#checked += count;
    this.#untold += count;
    return count;
  };

  ended(): boolean {
    const { sent } = this.#peer!.session;
    if (this.#checked !== sent - 1) {
      this.#options.onFault(new Error(`an end after ${this.#checked} of ${sent - 1} bytes`));
    }
    return true;
  }

  changed(): void {
    const { random, onBytes } = this.#options;
    this.#write();
    if (random.next() < 0.05) this.#options.soon(() => this.#stream.look(performance.now()));
    const count = this.#untold;
    this.#untold = 0;
    onBytes(count);
  }

  lost(): void {
    this.#options.onLost();
  }

  failed(reason: string): void {
    this.#options.onFault(new Error(`end ${this.#options.number}: ${reason}`));
  }

  closed(): void {}
  moved(): void {}

  #write(): void {
    while (!this.#isFinishing && this.session.room > 0) {
      const length = Math.min(this.#options.random.int(1, LARGEST_WRITE), this.session.room);
      this.#stream.write(pattern(this.session.sent, length, this.#options.number));
    }
  }
}
