import type { Link } from "../../../link/link.ts";

/** How many are kept for each place where they are wanted, and for how many milliseconds after one was wanted last. */
const MOST = 4;
const KEPT = 60_000;

interface Place {
  links: Link[];
  wantedAt: number;
  isFilling: boolean;
}

/** Connections to other processes that have shown each other who they are already, a few for each place where one was wanted of late. */
export class Spares {
  readonly #now: () => number;
  readonly #places = new Map<string, Place>();
  #isClosed = false;

  /** `now`: milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** One for that place, which is the caller's from now on, and may have been closed by the other end; `undefined`: there is none. */
  take(key: string): Link | undefined {
    const place = this.#places.get(key);
    if (place) place.wantedAt = this.#now();
    return place?.links.pop();
  }

  /** Has some there, opened by `open` one after another, of which a failure ends it: whoever wants one then will see why. */
  async fill(key: string, open: () => Promise<Link>): Promise<void> {
    if (this.#isClosed) return;
    const place = this.#places.get(key) ?? { links: [], wantedAt: this.#now(), isFilling: false };
    this.#places.set(key, place);
    if (place.isFilling) return;
    place.isFilling = true;
    try {
      while (place.links.length < MOST && this.#places.get(key) === place) {
        const link = await open();
        if (this.#places.get(key) === place) place.links.push(link);
        else link.close();
      }
    } catch {
      // The next that is wanted is opened by who wants it.
    }
    place.isFilling = false;
  }

  /** Closes those that nobody wants any more: to be called every few seconds. */
  sweep(): void {
    const now = this.#now();
    for (const [key, { wantedAt }] of this.#places) {
      if (now - wantedAt >= KEPT) this.#forget(key);
    }
  }

  /** Closes those of all places whose keys begin with that. */
  forget(prefix: string): void {
    for (const key of [...this.#places.keys()]) if (key.startsWith(prefix)) this.#forget(key);
  }

  /** Closes all; what is opened just now, too. There are none any more. */
  close(): void {
    this.#isClosed = true;
    this.forget("");
  }

  #forget(key: string): void {
    const links = this.#places.get(key)?.links ?? [];
    this.#places.delete(key);
    for (const link of links) link.close();
  }
}
