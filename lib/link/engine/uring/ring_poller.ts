import { LINGER } from "../../link.ts";
import { type Pollable, Poller, SLEEP } from "../poller.ts";
import type { SocketFlowOptions, Unsent } from "../socket_flow.ts";
import { ALL_EVENTS, EAGAIN, ECANCELED, EINTR, EPOLLIN, EPOLLOUT, EPOLLRDHUP, type System } from "../system.ts";
import { Buffers, GROUP, LONGEST_COPY } from "./buffers.ts";
import { NO_BYTES, NOTHING, type Operating, Place, RECEIVE, ROOM, SEND, WATCH } from "./place.ts";
import { CQE_BUFFER, CQE_MORE, Ring } from "./ring.ts";
import { RingFlow } from "./ring_flow.ts";
import { tryOut } from "./try_out.ts";

const KINDS = [WATCH, RECEIVE, SEND, ROOM];
const ALL = WATCH | RECEIVE | SEND | ROOM;
/** An operation's name: its place, above so many bits, and its kind. */
const STEP = 4;
const KIND = 15;

/** A poller by io_uring: what is to be done is handed over in one call a round, which tells what is done. */
export class RingPoller extends Poller {
  readonly #ring: Ring;
  readonly #buffers: Buffers;
  readonly #places: Place[] = [];
  readonly #free: number[] = [];
  #held = 0;
  #hasEnded = false;

  /** Throws where the kernel has no such thing, or does not allow it. */
  constructor(system: System) {
    super(system);
    let ring: Ring | undefined;
    let buffers: Buffers | undefined;
    try {
      ring = new Ring(system);
      ring.tellBy(this.bell);
      buffers = new Buffers(ring);
      this.#buffers = buffers;
      this.#ring = ring;
      tryOut(system, ring, buffers);
    } catch (error) {
      ring?.close();
      buffers?.close(ring!);
      system.close(this.bell);
      throw error;
    }
  }

  add(fd: number, pollable: Pollable, events = ALL_EVENTS): number {
    const number = this.#take(fd, pollable);
    this.#places[number]!.events = events;
    this.#watchAll(number);
    return number;
  }

  /** Once, so that nothing is to be undone. */
  hearOfRoom(_fd: number, number: number, isWanted: boolean): void {
    if (isWanted && !(this.#places[number]!.flying & ROOM)) this.room(number);
  }

  /** A place for a flow, which is told of what it asks for, and of nothing else. */
  addFlow(fd: number, flow: Operating): number {
    const number = this.#take(fd, flow);
    this.#places[number]!.operating = flow;
    return number;
  }

  /** Has `onEvents` told once of these events, of an error or of a hang-up, unless it is about to be. */
  watch(number: number, events: number): void {
    const place = this.#places[number]!;
    if (place.flying & WATCH) return;
    this.#begin(place, WATCH);
    this.#ring.poll(place.fd, events, false, number << STEP | WATCH, place.generation);
  }

  close(_fd: number, number: number): void {
    const place = this.#leave(number, ALL & ~SEND);
    place.isClosing = true;
    if (place.flying & SEND) place.timer = setTimeout(() => this.#leave(number, SEND), LINGER);
    this.#settle(number);
  }

  /** Nothing under way has the descriptor any more once that was handed over and cancelled: its number may be another's at once. */
  override closeAtOnce(fd: number, number: number): void {
    this.#leave(number, ALL);
    this.#ring.enter(0);
    this.#ring.enter(0); // what was cancelled comes to its end
    this.closeDescriptor(fd);
    this.#settle(number);
  }

  override abort(_fd: number, number: number): void {
    this.#leave(number, ALL).isClosing = true;
    this.#settle(number);
  }

  release(_fd: number, number: number): void {
    const place = this.#leave(number, ALL);
    // Operations go by the number until they are handed over, and it may be another's soon.
    if (place.flying !== NOTHING) this.#ring.enter(0);
    this.#settle(number);
  }

  flow(fd: number, options?: SocketFlowOptions): RingFlow {
    return new RingFlow(this, fd, options);
  }

  /** Asks for at most `most` bytes. */
  receive(number: number, most: number): void {
    const place = this.#places[number]!;
    this.#begin(place, RECEIVE);
    this.#ring.receive(place.fd, most, GROUP, number << STEP | RECEIVE, place.generation);
  }

  /** Asks for all that comes, until `stopReceiving`, the end, or a shortage of buffers. */
  receiveAll(number: number): void {
    const place = this.#places[number]!;
    this.#begin(place, RECEIVE);
    this.#ring.receiveAll(place.fd, GROUP, number << STEP | RECEIVE, place.generation);
  }

  /** Asks to be told, as of a receive that brings nothing, when there is something to be read: a result of more than 0. */
  readiness(number: number): void {
    const place = this.#places[number]!;
    this.#begin(place, RECEIVE);
    this.#ring.poll(place.fd, EPOLLIN | EPOLLRDHUP, false, number << STEP | RECEIVE, place.generation);
  }

  /** Has a receive come to its end soon: what it brings until then is told, and then that. */
  stopReceiving(number: number): void {
    this.#cancel(number, RECEIVE);
  }

  /** Asks to be told when there is room for more. */
  room(number: number): void {
    const place = this.#places[number]!;
    this.#begin(place, ROOM);
    this.#ring.poll(place.fd, EPOLLOUT, false, number << STEP | ROOM, place.generation);
  }

  /** Asks to send a copy of at most `LONGEST_COPY` bytes, after what is being sent: gives whether it does. */
  sendCopy(number: number, bytes: Uint8Array): boolean {
    const place = this.#places[number]!;
    if (place.flying & SEND) return this.#append(place, bytes);
    place.copy = this.#buffers.take();
    if (place.copy < 0) return false;
    this.#buffers.write(place.copy, 0, bytes);
    place.sent = 0;
    place.length = bytes.length;
    this.#sendOn(number, place);
    return true;
  }

  isSending(number: number): boolean {
    return (this.#places[number]!.flying & SEND) !== 0;
  }

  /** Has `onSent` told that all is sent that is being sent, which else it is not: gives whether something is. */
  awaitSent(number: number): boolean {
    return this.#places[number]!.isAwaited = this.isSending(number);
  }

  /** Bytes of the copy that is being sent. */
  unsent(number: number): number {
    const { length, sent } = this.#places[number]!;
    return length - sent;
  }

  /** Ends its direction after what is being sent. */
  closeWrite(number: number): void {
    const place = this.#places[number]!;
    if (place.flying & SEND) place.isEnding = true;
    else this.system.shutdownWrite(place.fd);
  }

  /** Has all that is under way come to its end, and what it brings told: settles then, or when the place is given back. */
  quiet(number: number): Promise<Unsent> {
    const place = this.#places[number]!;
    return new Promise((resolve) => {
      place.onQuiet = resolve;
      place.isGivenUp = true;
      if (place.flying === NOTHING) return this.#tellQuiet(place);
      this.#cancelKinds(number, place.flying);
    });
  }

  protected get isHolding(): boolean {
    return this.#held > 0;
  }

  protected wait(timeout: number): void {
    this.#ring.enter(timeout);
  }

  protected get happened(): number {
    return this.#hasEnded ? 0 : this.#ring.ready;
  }

  protected override handOver(): void {
    this.#ring.enter(0);
  }

  protected tell(): void {
    const ring = this.#ring;
    for (let left = ring.ready; left > 0; left--) {
      const at = ring.next;
      const [low, high, result, flags] = [ring.low(at), ring.high(at), ring.result(at), ring.flags(at)];
      ring.advance();
      try {
        if (low !== NOTHING) this.#done(low >> STEP, high, low & KIND, result, flags);
      } catch (error) {
        reportError(error); // a fault of one, which is not to be that of all
      }
    }
  }

  protected async sleep(): Promise<void> {
    this.system.hush(this.bell);
    this.#ring.isTelling = true;
    this.#ring.enter(0);
    // What could not be handed over, or told, as that failed, does not ring.
    if (this.#ring.ready === 0 && !this.#ring.needsEnter) await this.system.waitForBell(this.bell, SLEEP);
    this.#ring.isTelling = false;
    this.#ring.enter(0);
  }

  protected free(): void {
    this.#hasEnded = true;
    this.#ring.close();
    this.#buffers.close(this.#ring);
  }

  #take(fd: number, owner: Pollable): number {
    if (this.#hasEnded) {
      this.system.close(fd);
      throw new Error("the engine is closed");
    }
    const number = this.#free.pop() ?? this.#places.push(new Place()) - 1;
    const place = this.#places[number]!;
    place.fd = fd;
    place.owner = owner;
    this.#held++;
    this.begin();
    return number;
  }

  /** For a pollable that is no flow, each time. */
  #watchAll(number: number): void {
    const place = this.#places[number]!;
    this.#begin(place, WATCH);
    this.#ring.poll(place.fd, place.events, true, number << STEP | WATCH, place.generation);
  }

  #begin(place: Place, kind: number): void {
    place.flying |= kind;
    if (this.isSleeping) this.kick();
  }

  #sendOn(number: number, place: Place): void {
    this.#begin(place, SEND);
    const at = this.#buffers.addressOf(place.copy) + place.sent;
    place.request = this.#ring.send(place.fd, at, place.length - place.sent, number << STEP | SEND, place.generation);
  }

  /** To a copy that is not handed over: what is written in one round goes in one send. */
  #append(place: Place, bytes: Uint8Array): boolean {
    const length = place.length + bytes.length;
    if (length > LONGEST_COPY || !this.#ring.extend(place.request, length - place.sent)) return false;
    this.#buffers.write(place.copy, place.length, bytes);
    place.length = length;
    return true;
  }

  /** Nobody hears of it any more, and what is under way of these kinds is given up. */
  #leave(number: number, kinds: number): Place {
    const place = this.#places[number]!;
    if (place.onQuiet) this.#tellQuiet(place);
    place.owner = place.operating = undefined;
    const leaving = place.flying & kinds;
    if (leaving & SEND) place.isGivenUp = true;
    this.#cancelKinds(number, leaving);
    return place;
  }

  /** Each by its name: by the descriptor the kernel would look through all that is under way. */
  #cancelKinds(number: number, kinds: number): void {
    for (const kind of KINDS) if (kinds & kind) this.#cancel(number, kind);
  }

  #cancel(number: number, kind: number): void {
    this.#ring.cancel(number << STEP | kind, this.#places[number]!.generation, NOTHING, 0);
    if (this.isSleeping) this.kick();
  }

  /** When nothing is under way any more it is over: once, as it may be so already when what was told comes back. */
  #settle(number: number): void {
    const place = this.#places[number]!;
    if (place.fd < 0 || place.owner || place.flying !== NOTHING) return;
    clearTimeout(place.timer);
    if (place.isClosing) this.closeDescriptor(place.fd);
    place.fd = -1;
    place.isClosing =
      place.isEnding =
      place.isGivenUp =
      place.isAwaited =
        false;
    place.unsent = NO_BYTES;
    place.generation = (place.generation + 1) | 0;
    this.#free.push(number);
    if (--this.#held === 0) this.idle();
  }

  #done(number: number, generation: number, kind: number, result: number, flags: number): void {
    const place = this.#places[number]!;
    if (place.generation !== generation) return;
    if (!(flags & CQE_MORE)) place.flying &= ~kind;
    if (kind === RECEIVE) this.#received(place, result, flags);
    else if (kind === SEND) this.#sent(number, place, result);
    else if (kind === ROOM) this.#hasRoom(place, result);
    else this.#watched(number, place, result);
    if (!place.owner) this.#settle(number);
    else if (place.onQuiet && place.flying === NOTHING) this.#tellQuiet(place);
  }

  #tellQuiet(place: Place): void {
    place.onQuiet!({ bytes: place.unsent, isEnding: place.isEnding });
    place.onQuiet = undefined;
    place.isEnding = false;
  }

  #received(place: Place, result: number, flags: number): void {
    if (!(flags & CQE_BUFFER)) return place.operating?.onNothing(result);
    const id = flags >>> 16;
    try {
      if (result > 0) place.operating?.onBytes(this.#buffers.filled(id, result), (flags & CQE_MORE) !== 0);
      else place.operating?.onNothing(result);
    } finally {
      this.#buffers.giveBack(id);
    }
  }

  #sent(number: number, place: Place, result: number): void {
    if (result > 0) place.sent += result;
    const isShort = result === -EINTR || result === -EAGAIN || (result > 0 && place.sent < place.length);
    if (isShort && !place.isGivenUp) return this.#sendOn(number, place);
    const isLeft = place.onQuiet && (isShort || result === -ECANCELED);
    if (isLeft) place.unsent = this.#buffers.read(place.copy, place.sent, place.length);
    this.#buffers.free(place.copy);
    place.copy = -1;
    place.length = place.sent = 0;
    if (isLeft) return this.#tellSent(place, 0);
    if (place.isEnding) this.system.shutdownWrite(place.fd);
    place.isEnding = false;
    this.#tellSent(place, result);
  }

  /** Who does not wait is left alone: with many flows what they are is in no cache of the processor. */
  #tellSent(place: Place, result: number): void {
    if (result >= 0 && !place.isAwaited) return;
    place.isAwaited = false;
    place.operating?.onSent(result);
  }

  #hasRoom(place: Place, result: number): void {
    if (place.operating) place.operating.onRoom(result);
    else if (result > 0) place.owner?.onEvents(result);
  }

  #watched(number: number, place: Place, result: number): void {
    if (result >= 0) place.owner?.onEvents(result);
    if (place.owner && !place.operating && !(place.flying & WATCH)) this.#watchAll(number);
  }
}
