import type { Endpoint } from "../../link.ts";
import type { Pollable, Poller } from "../poller.ts";
import { EAGAIN, EINTR, ENOBUFS, EPOLLIN, EPOLLOUT } from "../system.ts";
import { BATCH } from "./batch.ts";
import { DescriptorCalls } from "../passing/descriptor_calls.ts";
import type { DatagramCalls } from "./datagram_calls.ts";
import { type AdoptOptions, type DatagramPeer, type DatagramSocket, LONGEST_DATAGRAM } from "./datagrams.ts";
import type { Incoming } from "./incoming.ts";
import type { NativePeer } from "./native_peer.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Sender, SendQueue } from "./send_queue.ts";

/** What the sockets of a thread share. */
export interface Shared {
  readonly poller: Poller;
  readonly calls: DatagramCalls;
  readonly incoming: Incoming;
  readonly queue: SendQueue;
}

export type Traits = Pick<DatagramSocket, "isShared" | "receiveBuffer" | "sendBuffer">;

/** A socket of the system's. */
export abstract class NativeDatagrams implements DatagramSocket, Pollable, Sender {
  readonly isShared: boolean;
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
  readonly losses = { tooLong: 0, unsent: 0 };
  onDatagram: DatagramSocket["onDatagram"] = () => {};
  onRound: (() => void) | undefined;
  abstract readonly address: Endpoint;
  protected readonly shared: Shared;
  /** -1: it is closed. */
  #fd: number;
  readonly #place: number;
  /** It is served in the next round: no event will tell of what there is. */
  #isQueued = false;
  /** Nothing is read. */
  #isPaused: boolean;
  /** What the system has no room for, if anything. */
  #held: Outgoing | undefined;

  /** Owns the descriptor. Throws, and has closed it, when the system cannot watch it. `use`: see `AdoptOptions`. */
  constructor(shared: Shared, fd: number, { isShared, receiveBuffer, sendBuffer }: Traits, use?: AdoptOptions["use"]) {
    this.shared = shared;
    this.#isPaused = use !== undefined;
    this.isShared = isShared;
    this.receiveBuffer = receiveBuffer;
    this.sendBuffer = sendBuffer;
    this.#place = shared.poller.add(fd, this, use === "send" ? 0 : EPOLLIN);
    this.#fd = fd;
  }

  send(bytes: Uint8Array, peer: DatagramPeer): boolean {
    const isSent = this.#fd >= 0 && bytes.length <= LONGEST_DATAGRAM && this.#add(bytes, this.destination(peer));
    if (!isSent) this.losses.unsent++;
    return isSent;
  }

  close(): Promise<void> {
    if (this.#fd < 0) return Promise.resolve();
    const { poller, queue } = this.shared;
    if (this.#held) this.#sendHeld();
    queue.flushOf(this);
    this.losses.unsent += this.#held?.length ?? 0;
    this.#held = undefined;
    poller.closeAtOnce(this.#fd, this.#place);
    this.#fd = -1;
    return Promise.resolve();
  }

  get cookie(): number {
    return this.shared.poller.system.cookie(this.#fd);
  }

  duplicate(): number {
    const fd = DescriptorCalls.open().duplicate(this.#fd);
    if (fd < 0) throw this.shared.poller.system.error();
    return fd;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    // What came meanwhile was told already.
    if (!this.#isQueued) this.#again();
  }

  onEvents(flags: number): void {
    if (flags & EPOLLOUT && this.#held) this.#sendHeld();
    if (flags & ~EPOLLOUT && !this.#isQueued) this.#receive();
  }

  serve(): void {
    this.#isQueued = false;
    this.#receive();
  }

  transmit(batch: Outgoing): boolean {
    const isGone = this.#sendAll(batch);
    if (!isGone) this.#hold(batch);
    return isGone;
  }

  abstract keep(peer: DatagramPeer): void;

  /** Who sent one of those that came. */
  protected abstract senderOf(i: number): DatagramPeer;

  /** Whom to send to; `undefined`: whom the socket is connected to. */
  protected abstract destination(peer: DatagramPeer): NativePeer | undefined;

  /** The system says that what was sent is not taken. It is in the middle of something. */
  protected refused(_errno: number): void {}

  protected get isClosed(): boolean {
    return this.#fd < 0;
  }

  #add(bytes: Uint8Array, peer: NativePeer | undefined): boolean {
    const { queue } = this.shared;
    if (this.#held) return this.#held.add(bytes, peer);
    if (queue.add(this, bytes, peer)) return true;
    queue.flush();
    return !this.#held && queue.add(this, bytes, peer);
  }

  #sendHeld(): void {
    const isGone = this.#sendAll(this.#held!);
    this.#hold(isGone ? undefined : this.#held);
  }

  #hold(batch: Outgoing | undefined): void {
    this.#held = batch;
    this.shared.poller.hearOfRoom(this.#fd, this.#place, batch !== undefined);
  }

  /** Gives whether nothing is left; else there is no room. */
  #sendAll(batch: Outgoing): boolean {
    while (batch.length > 0) {
      if (batch.send(this.#fd) > 0) continue;
      const errno = this.shared.poller.system.transferErrno;
      if (errno === EAGAIN) return false;
      if (errno === EINTR) continue;
      // Without room somewhere else, of which nobody tells, all of it; else that one: it is too long for the way, or may not go there.
      const lost = errno === ENOBUFS ? batch.length : 1;
      batch.drop(lost);
      this.losses.unsent += lost;
      this.refused(errno);
    }
    return true;
  }

  /** A batch: others are to have their turn before it reads more. */
  #receive(): void {
    if (this.#fd < 0 || this.#isPaused) return;
    const { incoming, poller, queue } = this.shared;
    const count = incoming.receive(this.#fd);
    if (count === 0) {
      const errno = poller.system.transferErrno;
      if (errno === EAGAIN) return;
      if (errno !== EINTR) this.refused(errno);
      return this.#again();
    }
    if (count === BATCH) this.#again();
    queue.begin();
    try {
      for (let i = 0; i < count && this.#fd >= 0; i++) this.#tell(i);
      if (this.#fd >= 0) this.onRound?.();
    } finally {
      queue.end();
    }
  }

  #tell(i: number): void {
    const { incoming } = this.shared;
    if (incoming.isTooLong(i)) this.losses.tooLong++;
    else this.onDatagram(incoming.bytes(i), this.senderOf(i));
  }

  #again(): void {
    this.#isQueued = true;
    this.shared.poller.again(this);
  }
}
