import type { DatagramPeer } from "./datagrams.ts";
import { hashOf } from "./key_hash.ts";

interface Entry<V> {
  readonly key: string;
  value: V;
  /** Another one whose key is hashed alike. */
  next: Entry<V> | undefined;
}

/**
 * What there is of each peer. To ask for one that there is not leaves nothing behind: of a `Map` of their keys, which are texts, V8 keeps
 * each that it is asked for, in a table that grows, until old garbage is collected; and as many as somebody likes can be forged.
 */
export class PeerMap<V> {
  readonly #first = new Map<number, Entry<V>>();
  readonly #hashOf: (key: string) => number;
  #size = 0;

  /** `hash`: of a key, 32 bits. */
  constructor(hash: (key: string) => number = hashOf) {
    this.#hashOf = hash;
  }

  get size(): number {
    return this.#size;
  }

  get({ key }: DatagramPeer): V | undefined {
    return this.#find(key, this.#hashOf(key))?.value;
  }

  set({ key }: DatagramPeer, value: V): void {
    const hash = this.#hashOf(key);
    const entry = this.#find(key, hash);
    if (entry) entry.value = value;
    else {
      this.#first.set(hash, { key, value, next: this.#first.get(hash) });
      this.#size++;
    }
  }

  delete({ key }: DatagramPeer): void {
    if (this.#size === 0) return;
    const hash = this.#hashOf(key);
    const entry = this.#find(key, hash);
    if (!entry) return;
    let before = this.#first.get(hash)!;
    if (before !== entry) {
      while (before.next !== entry) before = before.next!;
      before.next = entry.next;
    } else if (entry.next) this.#first.set(hash, entry.next);
    else this.#first.delete(hash);
    this.#size--;
  }

  *values(): Generator<V> {
    for (const first of this.#first.values()) {
      for (let entry: Entry<V> | undefined = first; entry; entry = entry.next) yield entry.value;
    }
  }

  #find(key: string, hash: number): Entry<V> | undefined {
    let entry = this.#first.get(hash);
    while (entry && entry.key !== key) entry = entry.next;
    return entry;
  }
}
