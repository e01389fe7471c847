import type { Link } from "../../lib/link/link.ts";
import type { Random } from "./random.ts";
import { tcp } from "./raw_client.ts";

/** A link that breaks once so many bytes have gone over it, either way, and takes or gives them to the last. */
export class CuttingLink implements Link {
  readonly #link: Link;
  readonly #abandon: boolean;
  readonly #abandoned = Promise.withResolvers<never>();
  #left: number;

  /** `abandon`: the other end is not told, and finds the old connection open when the client comes again. */
  constructor(link: Link, cutAfter: number, abandon = false) {
    this.#link = link;
    this.#left = cutAfter;
    this.#abandon = abandon;
    this.#abandoned.promise.catch(() => {});
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    this.#check();
    // Its own buffer: a read of an abandoned connection is still under way when the caller has the buffer back.
    const own = new Uint8Array(Math.min(buffer.length, Math.max(1, this.#left)));
    const n = await Promise.race([this.#link.read(own), this.#abandoned.promise]);
    buffer.set(own.subarray(0, n ?? 0));
    this.#left -= n ?? 0;
    return n;
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#check();
    const n = await Promise.race([this.#link.write(bytes.slice(0, Math.max(1, this.#left))), this.#abandoned.promise]);
    this.#left -= n;
    return n;
  }

  closeWrite(): Promise<void> {
    return this.#link.closeWrite();
  }

  close(): void {
    if (this.#abandon) this.#abandoned.reject(new Error("abandoned"));
    else this.#link.close();
  }

  /** Closes what was abandoned. */
  bury(): void {
    this.#link.close();
  }

  #check(): void {
    if (this.#left > 0) return;
    this.close();
    throw new Error("cut by the test");
  }
}

/** More bytes than the handshake of a new session has, of either version. */
export const FIRST_HANDSHAKE = 500;

/**
 * Dials a session's connections. The first one must live through its handshake: a session is begun once. An abandoned one
 * is open until the next but one is there.
 */
export function dialer(
  { address, cutWithin, abandon, random }: { address: string; cutWithin: number; abandon: number; random: Random },
): { dial: () => Promise<Link>; bury: () => void } {
  const links: CuttingLink[] = [];
  const dial = async () => {
    const link = await tcp(address);
    const least = links.length === 0 ? FIRST_HANDSHAKE : 0;
    links.at(-2)?.bury();
    links.push(new CuttingLink(link, least + random.int(1, cutWithin), random.next() < abandon));
    return links.at(-1)!;
  };
  return { dial, bury: () => links.forEach((link) => link.bury()) };
}
