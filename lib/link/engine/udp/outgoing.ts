import { BATCH, BatchMemory } from "./batch.ts";
import { CONTROL_LENGTH, type DatagramCalls, HEADER, NAME_LENGTH } from "./datagram_calls.ts";
import { IP_PKTINFO, IPPROTO_IP, IPPROTO_IPV6, IPV6_PKTINFO } from "./datagram_calls.ts";
import { HEAD, LOCAL, type NativePeer, REMOTE, SCOPE } from "./native_peer.ts";

/** Bytes of a batch: of a whole one, if they are as long as most networks carry. */
const CAPACITY = BATCH * 1536;
/** Bytes of a `struct sockaddr_in`, and of a `struct cmsghdr` with a `struct in_pktinfo`; the same of IPv6, and what follows is aligned. */
const IPV4 = { name: 16, control: 28, space: 32 };
const IPV6 = { name: 28, control: 36, space: 40 };

/** What is to be sent by one socket, from the first that was added on. */
export class Outgoing {
  readonly #calls: DatagramCalls;
  readonly #memory = new BatchMemory(CAPACITY);
  #first = 0;
  #count = 0;
  #bytes = 0;

  constructor(calls: DatagramCalls) {
    this.#calls = calls;
  }

  /** How many there are. */
  get length(): number {
    return this.#count - this.#first;
  }

  /** Copies one, for a peer, or for whom the socket is connected to. Gives whether there was room. */
  add(bytes: Uint8Array, peer: NativePeer | undefined): boolean {
    if (this.#count === BATCH || this.#bytes + bytes.length > CAPACITY) return false;
    const i = this.#count++;
    this.#memory.bytes.set(bytes, this.#bytes);
    this.#memory.place(i, this.#bytes, bytes.length);
    this.#bytes += bytes.length;
    const { words } = this.#memory;
    words[i * HEADER + NAME_LENGTH] = words[i * HEADER + CONTROL_LENGTH] = 0;
    if (peer) this.#address(i, peer);
    return true;
  }

  /** Has some sent: how many, of those that there are; -1: the first could not be. */
  send(fd: number): number {
    const { headers } = this.#memory;
    const from = this.#first === 0 ? headers : headers.subarray(4 * HEADER * this.#first);
    const sent = this.#calls.send(fd, from, this.length);
    if (sent > 0) this.drop(sent);
    return sent;
  }

  /** As many are to be sent no more. */
  drop(count: number): void {
    this.#first += count;
    if (this.#first === this.#count) this.#first = this.#count = this.#bytes = 0;
  }

  #address(i: number, peer: NativePeer): void {
    const { words } = this.#memory;
    const { isIpv6, words: of } = peer;
    const name = this.#memory.name(i);
    words[name] = of[HEAD]!;
    if (isIpv6) {
      words[name + 1] = 0;
      for (let word = 0; word < 4; word++) words[name + 2 + word] = of[REMOTE + word]!;
      words[name + 6] = of[SCOPE]!;
    } else {
      words[name + 1] = of[REMOTE]!;
      words[name + 2] = words[name + 3] = 0;
    }
    words[i * HEADER + NAME_LENGTH] = (isIpv6 ? IPV6 : IPV4).name;
    if (peer.hasLocal) this.#from(i, peer);
  }

  /** From the address of ours that it was asked at, by whichever interface leads there. */
  #from(i: number, { isIpv6, words: of }: NativePeer): void {
    const { words } = this.#memory;
    const control = this.#memory.control(i);
    const { control: length, space } = isIpv6 ? IPV6 : IPV4;
    words.fill(0, control, control + space / 4);
    words[control] = length;
    words[control + 2] = isIpv6 ? IPPROTO_IPV6 : IPPROTO_IP;
    words[control + 3] = isIpv6 ? IPV6_PKTINFO : IP_PKTINFO;
    if (isIpv6) { for (let word = 0; word < 4; word++) words[control + 4 + word] = of[LOCAL + word]!; }
    else words[control + 5] = of[LOCAL]!;
    words[i * HEADER + CONTROL_LENGTH] = space;
  }
}
