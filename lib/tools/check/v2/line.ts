import { type Link, writeAll } from "../../../link/link.ts";
import { LARGEST_READ } from "../../../link/relay.ts";
import { ACK, PING, PONG } from "../../../scp/v2/frame.ts";
import { within } from "../../../within.ts";
import { Broken } from "../probe.ts";
import { joined } from "../../../link/joined.ts";
import { numberFrame } from "./frames.ts";
import { Hearing } from "./hearing.ts";

/** Milliseconds. */
const PATIENCE = 5000;

/** A link with frames: what is said over it is said by hand, but for PONGs. */
export class Line {
  link: Link;
  readonly heard: Hearing;
  readonly #open: (fresh: Uint8Array<ArrayBuffer>) => void;
  #buffer = new Uint8Array(LARGEST_READ);
  /** A read that is under way; of `null` the link has ended. */
  #reading: Promise<{ n: number | null }> | undefined;
  #hasEnded = false;

  /** `open`: is given the bytes of the stream as they come. */
  constructor(link: Link, window: number, open: (fresh: Uint8Array<ArrayBuffer>) => void) {
    this.link = link;
    this.heard = new Hearing(window);
    this.#open = open;
  }

  /** Goes on over another link, from which `rest` came already. */
  replace(link: Link, rest: Uint8Array): void {
    this.link = link;
    this.#reading = undefined;
    this.#buffer = new Uint8Array(LARGEST_READ);
    this.#hasEnded = false;
    this.heard.reset();
    this.#hear(rest);
  }

  /** Sends bytes that may be frames. Throws `Broken` when the server has closed the link, or does. */
  async write(...frames: Uint8Array[]): Promise<void> {
    try {
      await writeAll(this.link, joined(...frames));
    } catch {
      await this.until(() => false, "that it takes more");
    }
  }

  async ack(position = this.heard.received): Promise<void> {
    this.heard.said = Math.max(this.heard.said, position);
    await this.write(numberFrame(ACK, position));
  }

  /** Sends a PING, and waits for its PONG: how many milliseconds that took. */
  async ping(number = 1, most = PATIENCE): Promise<number> {
    const start = performance.now();
    const { pongs } = this.heard;
    const before = pongs.length;
    await this.write(numberFrame(PING, number));
    await this.until(() => pongs.length > before, `a PONG of ${number}`, most);
    if (pongs.at(-1) !== number) throw new Broken(`a PONG of ${pongs.at(-1)} came, where ${number} was expected`);
    return performance.now() - start;
  }

  /** Hears what comes until it is so. Throws `Broken` when that is not so within `most` milliseconds, or cannot be any more. */
  async until(isSo: () => boolean, what: string, most = PATIENCE): Promise<void> {
    const deadline = performance.now() + most;
    while (!isSo()) {
      const { closed } = this.heard;
      if (closed) throw new Broken(`CLOSE ${closed.code} came ("${closed.reason}"), where ${what} was expected`);
      if (this.#hasEnded) throw new Broken(`the connection was closed, where ${what} was expected`);
      const came = await this.#read(deadline - performance.now());
      if (!came && !isSo()) throw new Broken(`${what} did not come within ${most} ms`);
    }
  }

  /** Hears what comes in so many milliseconds, or until it is enough. */
  async listen(ms: number, isEnough = () => false): Promise<void> {
    const deadline = performance.now() + ms;
    while (!isEnough() && await this.#read(deadline - performance.now()));
  }

  /** Expects that the server ends the session with that code, and closes the link. */
  async expectClose(code: number, most = PATIENCE): Promise<void> {
    await this.until(() => this.heard.closed !== undefined, `CLOSE ${code}`, most);
    const { closed } = this.heard;
    if (closed!.code !== code) {
      throw new Broken(`CLOSE ${closed!.code} came ("${closed!.reason}"), where CLOSE ${code} was expected`);
    }
    await this.expectEnd();
  }

  /** Expects that the server closes the link. */
  async expectEnd(): Promise<void> {
    await this.listen(PATIENCE);
    if (!this.#hasEnded) throw new Broken("the connection was not closed");
  }

  /** Whether something came within so many milliseconds. */
  async #read(most: number): Promise<boolean> {
    if (this.#hasEnded) return false;
    // A reset is an end, too.
    this.#reading ??= this.link.read(this.#buffer).then((n) => ({ n }), () => ({ n: null }));
    const read = await within(Math.max(0, most), this.#reading);
    if (!read) return false;
    this.#reading = undefined;
    if (read.n === null) this.#hasEnded = true;
    else this.#hear(this.#buffer.subarray(0, read.n));
    for (const number of this.heard.unanswered.splice(0)) await this.write(numberFrame(PONG, number)).catch(() => {});
    return true;
  }

  #hear(came: Uint8Array): void {
    this.#open(this.heard.hear(came.slice()));
  }
}
