import type { Pollable } from "../poller.ts";
import type { Unsent } from "../socket_flow.ts";

/** What can be under way at a place, one of each: a bit of what is, and the low part of an operation's name. */
export const NOTHING = 0;
export const WATCH = 1;
export const RECEIVE = 2;
export const SEND = 4;
export const ROOM = 8;

export const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** What hears of operations, of those that it asked for. */
export interface Operating extends Pollable {
  /** Bytes came, at least one, which are the callee's until it returns. `isMore`: the receive goes on. */
  onBytes(bytes: Uint8Array<ArrayBuffer>, isMore: boolean): void;
  /** A receive brought nothing, and is over: there is something to be read; 0, the end of the stream; or why, a negative errno. */
  onNothing(result: number): void;
  /** All was sent, of which only who has asked for that hears; or not, a negative errno. */
  onSent(result: number): void;
  /** There may be room for what is written; flags of epoll. */
  onRoom(flags: number): void;
}

/** A descriptor, and all that is under way for it: its number is not another's before that has come to its end. */
export class Place {
  generation = 0;
  /** Bits of what is under way. */
  flying = NOTHING;
  fd = -1;
  owner: Pollable | undefined;
  /** Of which the owner hears. */
  events = 0;
  /** Whose receives and sends go by the ring. */
  operating: Operating | undefined;
  isClosing = false;
  /** A copy that is being sent: which, by which request, from where on, and how many bytes. */
  copy = -1;
  request = 0;
  sent = 0;
  length = 0;
  /** Its owner is to hear when it is sent. */
  isAwaited = false;
  /** Whatever is left of it is not to be sent. */
  isGivenUp = false;
  /** Its direction is to be ended after that. */
  isEnding = false;
  /** What was not sent of it, for who waits until nothing is under way. */
  unsent = NO_BYTES;
  onQuiet: ((unsent: Unsent) => void) | undefined;
  /** Until it is closed although that is not sent. */
  timer: ReturnType<typeof setTimeout> | undefined;
}
