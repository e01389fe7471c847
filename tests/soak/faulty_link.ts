import type { Link } from "../../lib/link/link.ts";
import type { FaultKind } from "./tally.ts";

/** How a link breaks; `abandoned`: the other end is not told, and finds it open when the client comes again. */
export type Way = "closed" | "reset" | "abandoned";

/** How long an abandoned connection stays open, in milliseconds. */
const ABANDONED_FOR = 10_000;

/** How and when a link is to break. */
export interface Fault {
  kind: FaultKind;
  way: Way;
  /** Bytes, both ways together, after which it does. */
  after: number;
}

export interface FaultyLinkOptions {
  fault: Fault;
  /** Whether links are to break at all: asked for when the time has come. */
  active: () => boolean;
  /** Called when it breaks. */
  onFault: (kind: FaultKind) => void;
}

/** A link that breaks once so many bytes have gone over it, and takes or gives them to the last. */
export class FaultyLink implements Link {
  readonly #link: Link & { reset?: () => void };
  readonly #options: FaultyLinkOptions;
  readonly #broken = Promise.withResolvers<never>();
  #left: number;
  #isBroken = false;

  /** Owns `link`, which must be one that can be reset for that way. */
  constructor(link: Link & { reset?: () => void }, options: FaultyLinkOptions) {
    this.#link = link;
    this.#options = options;
    this.#left = options.fault.after;
    this.#broken.promise.catch(() => {});
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    this.#check();
    // Its own buffer: a read of an abandoned connection is still under way when the caller has the buffer back.
    const own = new Uint8Array(Math.min(buffer.length, this.#most));
    const n = await Promise.race([this.#link.read(own), this.#broken.promise]);
    buffer.set(own.subarray(0, n ?? 0));
    this.#left -= n ?? 0;
    return n;
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#check();
    const n = await Promise.race([this.#link.write(bytes.slice(0, this.#most)), this.#broken.promise]);
    this.#left -= n;
    if (this.#left <= 0) queueMicrotask(() => this.#break());
    return n;
  }

  closeWrite(): Promise<void> {
    return this.#link.closeWrite();
  }

  close(): void {
    if (!this.#isBroken) this.#link.close();
  }

  get #most(): number {
    return this.#options.active() ? Math.max(1, this.#left) : Infinity;
  }

  #check(): void {
    this.#break();
    if (this.#isBroken) throw new Error("broken by the soak");
  }

  #break(): void {
    if (this.#isBroken || this.#left > 0 || !this.#options.active()) return;
    this.#isBroken = true;
    const { kind, way } = this.#options.fault;
    this.#options.onFault(kind);
    this.#broken.reject(new Error("broken by the soak"));
    if (way === "reset") this.#link.reset!();
    else if (way === "closed") this.#link.close();
    else setTimeout(() => this.#link.close(), ABANDONED_FOR);
  }
}
