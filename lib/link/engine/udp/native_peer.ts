import type { Endpoint } from "../../link.ts";
import { decodeEndpoint, familyOf } from "../sockaddr.ts";
import { AF_INET6 } from "../system.ts";
import type { DatagramPeer } from "./datagrams.ts";

/** Words of what a peer is: its family and port as a `struct sockaddr` begins, its address, its scope, and the address of ours. */
export const PEER_WORDS = 10;
export const [HEAD, REMOTE, SCOPE, LOCAL] = [0, 1, 5, 6];

/** How many are kept: a power of 2. */
const SLOTS = 8192;

export class NativePeer implements DatagramPeer {
  readonly words: Int32Array<ArrayBuffer>;
  readonly #socket: Endpoint;
  #key: string | undefined;

  /** `words`: its own, that do not change. `socket`: where the socket is, which is the address of ours when the words have none. */
  constructor(words: Int32Array<ArrayBuffer>, socket: Endpoint) {
    this.words = words;
    this.#socket = socket;
  }

  get isIpv6(): boolean {
    return (this.words[HEAD]! & 0xffff) === AF_INET6;
  }

  /** Whether it is known which address of ours it sends to. */
  get hasLocal(): boolean {
    const { words } = this;
    return (words[LOCAL]! | words[LOCAL + 1]! | words[LOCAL + 2]! | words[LOCAL + 3]!) !== 0;
  }

  get key(): string {
    return this.#key ??= keyOf(this.words);
  }

  get remote(): Endpoint {
    return this.#decode(REMOTE, this.words[HEAD]!);
  }

  get local(): Endpoint {
    const { port } = this.#socket;
    if (!this.hasLocal) return this.#socket;
    return { ...this.#decode(LOCAL, this.words[HEAD]!), port };
  }

  #decode(at: number, head: number): Endpoint {
    const words = new Int32Array(7);
    words[0] = head;
    words.set(this.words.subarray(at, at + 4), this.isIpv6 ? 2 : 1);
    return decodeEndpoint(new Uint8Array(words.buffer));
  }
}

/** Peers by their words: those that are kept, so that not each datagram of one makes an object, and one that is made for any other. */
export class Peers {
  /** As addresses can be forged, one that is kept takes the place of another. */
  readonly #slots: (NativePeer | undefined)[] = new Array(SLOTS).fill(undefined);
  readonly #socket: Endpoint;

  constructor(socket: Endpoint) {
    this.#socket = socket;
  }

  /** Copies the words when it keeps none with them. */
  of(words: Int32Array<ArrayBuffer>): NativePeer {
    const known = this.#slots[slotOf(words)];
    return known && isSame(known.words, words) ? known : new NativePeer(words.slice(), this.#socket);
  }

  keep(peer: NativePeer): void {
    this.#slots[slotOf(peer.words)] = peer;
  }
}

function slotOf(words: Int32Array): number {
  let hash = 0;
  for (let i = 0; i < PEER_WORDS; i++) hash = Math.imul(hash ^ words[i]!, 0x9e3779b1) ^ (hash >>> 15);
  return (hash ^ (hash >>> 16)) & (SLOTS - 1);
}

/** Not by way of the buffer of the words, which would be made for it: most are of somebody who is not heard of again. */
function keyOf(words: Int32Array): string {
  let key = "";
  for (let i = 0; i < PEER_WORDS; i++) key += String.fromCharCode(words[i]! & 0xffff, words[i]! >>> 16);
  return key;
}

function isSame(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < PEER_WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether a `struct sockaddr` is one that stands for all addresses of this machine. */
export function isAny(address: Uint8Array<ArrayBuffer>): boolean {
  return wordsOf(address).subarray(REMOTE, SCOPE).every((word) => word === 0);
}

/** The words of who is at an address, a `struct sockaddr`. */
export function wordsOf(address: Uint8Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const [from, words] = [new Int32Array(address.slice().buffer, 0, address.length >> 2), new Int32Array(PEER_WORDS)];
  words[HEAD] = from[0]!;
  if (familyOf(address) === AF_INET6) words.set(from.subarray(2, 7), REMOTE);
  else words[REMOTE] = from[1]!;
  return words;
}
