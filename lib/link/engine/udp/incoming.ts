import { AF_INET6 } from "../system.ts";
import { BATCH, BatchMemory } from "./batch.ts";
import { ANCILLARY, CONTROL_LENGTH, type DatagramCalls, FLAGS, HEADER, LENGTH, NAME_LENGTH } from "./datagram_calls.ts";
import { IP_PKTINFO, IPPROTO_IP, IPPROTO_IPV6, IPV6_PKTINFO } from "./datagram_calls.ts";
import { LONGEST_DATAGRAM } from "./datagrams.ts";
import { HEAD, LOCAL, PEER_WORDS, REMOTE, SCOPE } from "./native_peer.ts";

const MSG_CTRUNC = 8;
const MSG_TRUNC = 0x20;
/** From one to the next: not a power of 2, or they would crowd each other out of the processor's cache. */
const STRIDE = LONGEST_DATAGRAM + 64;
/** Bytes of the longest address. */
const LONGEST_NAME = 28;

/** What came at once: of a thread, as it is dealt with before more is read. */
export class Incoming {
  readonly #calls: DatagramCalls;
  readonly #memory = new BatchMemory(BATCH * STRIDE);
  readonly #peer = new Int32Array(PEER_WORDS);
  /** Headers that a call may have written to. */
  #used = BATCH;

  constructor(calls: DatagramCalls) {
    this.#calls = calls;
    for (let i = 0; i < BATCH; i++) this.#memory.place(i, i * STRIDE, LONGEST_DATAGRAM);
  }

  /** How many came, of at most `BATCH`; 0: it failed, and `errno` of the system says why. */
  receive(fd: number): number {
    const { words, headers } = this.#memory;
    for (let i = 0; i < this.#used; i++) {
      words[i * HEADER + NAME_LENGTH] = LONGEST_NAME;
      words[i * HEADER + CONTROL_LENGTH] = 4 * ANCILLARY;
    }
    const count = this.#calls.receive(fd, headers);
    return this.#used = Math.max(count, 0);
  }

  isTooLong(i: number): boolean {
    return (this.#memory.words[i * HEADER + FLAGS]! & MSG_TRUNC) !== 0;
  }

  bytes(i: number): Uint8Array<ArrayBuffer> {
    return this.#memory.bytes.subarray(i * STRIDE, i * STRIDE + this.#memory.words[i * HEADER + LENGTH]!);
  }

  /** Who sent it: the words are the caller's until the next call. */
  peer(i: number): Int32Array<ArrayBuffer> {
    const { words } = this.#memory;
    const name = this.#memory.name(i);
    const peer = this.#peer.fill(0);
    peer[HEAD] = words[name]!;
    if ((words[name]! & 0xffff) === AF_INET6) {
      for (let word = 0; word < 4; word++) peer[REMOTE + word] = words[name + 2 + word]!;
      peer[SCOPE] = words[name + 6]!;
    } else {
      peer[REMOTE] = words[name + 1]!;
    }
    this.#readLocal(i, peer);
    return peer;
  }

  /** The one thing that comes along, where it was asked for. */
  #readLocal(i: number, peer: Int32Array): void {
    const { words } = this.#memory;
    if (words[i * HEADER + CONTROL_LENGTH] === 0 || words[i * HEADER + FLAGS]! & MSG_CTRUNC) return;
    const control = this.#memory.control(i);
    const [level, type] = [words[control + 2], words[control + 3]];
    if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) {
      for (let word = 0; word < 4; word++) peer[LOCAL + word] = words[control + 4 + word]!;
    } else if (level === IPPROTO_IP && type === IP_PKTINFO) {
      peer[LOCAL] = words[control + 5]!; // ipi_spec_dst: the address of ours also when it was sent to all
    }
  }
}
