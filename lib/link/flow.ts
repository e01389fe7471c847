import type { Link } from "./link.ts";

/** What hears of a flow. Nothing is told while a call of the flow is under way: a sink is never called in the middle of what it does. */
export interface Sink {
  /** Bytes came, which are the sink's until it returns. */
  readable(bytes: Uint8Array<ArrayBuffer>): void;
  /** A write that took less than it was given may go on; or what a write took was lost, which the next one throws. */
  writable(): void;
  /** The other end will send nothing more. What is written still arrives. */
  ended(): void;
  /** It broke: nothing more is told, and all there is to do is to close it. */
  lost(error: unknown): void;
}

/**
 * A link as the data plane uses it, by events: a link of promises holds a buffer and some objects for each read that waits. Paused
 * at first. Whoever made it owns it, and closes it.
 */
export interface Flow {
  /** Who is told. Another one only while it is paused. */
  sink: Sink;
  /**
   * Writes what there is room for, and gives how many bytes that is. When it is less than all, `writable` says when to go on.
   * Throws when the link broke, also of no bytes; what came before that is still told, unless it is paused, and then the loss.
   */
  write(bytes: Uint8Array<ArrayBuffer>): number;
  /** Nothing more will be written: to be called when all was taken. Again it does nothing. */
  closeWrite(): void;
  /** Whether all that was written, and the end, is the system's: where not, `writable` says when. A close before that loses it. */
  readonly isDrained: boolean;
  /** Tells of nothing but room for writes, until `resume`. */
  pause(): void;
  /** `most`: the most bytes to be told of at once. */
  resume(most: number): void;
  /** Bytes that were written and that the system of the other end has not acknowledged; 0 where nobody knows. */
  unacknowledged(): number;
  /** Milliseconds since its system was heard of, while it owes an answer; 0: it owes none, or nobody knows. */
  silence(): number;
  /** What is done with it goes on in the runtime's own loop, which is to have its turns; missing: it has. */
  yieldSoon?(): void;
  /** Closes it at once; nothing is told any more. May be called again. */
  close(): void;
  /** As `close`, so that the other end sees a reset; where that cannot be had it sees an end. */
  reset(): void;
}

/** What a connection is beside its descriptor, when nothing is under way for it: plain data. */
export interface Remains {
  /** Bytes that came and were not told. */
  came: Uint8Array<ArrayBuffer>;
  /** The end, or the loss, was told. */
  isOver: boolean;
  /** Why it broke, which the system tells once. */
  fault: string | undefined;
  /** Bytes that were taken and are not the system's: who goes on writes them first; and whether the direction ends after these. */
  unsent: Uint8Array<ArrayBuffer>;
  isEnding: boolean;
}

/** A flow over a descriptor, which another one can go on over: of another engine, thread or process. */
export interface MovableFlow extends Flow {
  /** Something else of this process carries on what goes over it: another could not go on with it alone. */
  readonly isCarriedOn: boolean;
  /** What goes over it comes by a socket that others go over too, which nobody is to read while it goes; missing: it has its own. */
  readonly sharesSocket?: boolean;
  /**
   * Tells nothing any more, and must not be used from now on. When all that was under way has come to its end it gives the descriptor
   * to the caller, who owns it, and the other end has noticed nothing. `undefined`: it is closed, or is meanwhile.
   */
  giveAway(): Promise<{ fd: number; remains: Remains } | undefined>;
}

/** Whether another flow can go on over its descriptor. */
export function isMovableFlow(flow: Flow): flow is MovableFlow {
  return "giveAway" in flow && !(flow as MovableFlow).isCarriedOn;
}

/** A flow of which a stream has let go, open still, and bytes of it that the stream was told and has not dealt with. */
export interface LetGo<F extends Flow = Flow> {
  flow: F;
  rest: Uint8Array;
}

/** Has nobody hear of a flow any more, which stays open, and is the caller's. */
export function letGo<F extends Flow>(flow: F): F {
  flow.pause();
  flow.sink = NOBODY;
  return flow;
}

/** Hears of a flow that nobody listens to yet. */
export const NOBODY: Sink = { readable() {}, writable() {}, ended() {}, lost() {} };

/** What a link is made of, where it is a flow below. */
export function flowIn(link: Link): Flow | undefined {
  return "flow" in link ? (link as FlowingLink).flow : undefined;
}

/** A link that is a flow below. */
export interface FlowingLink extends Link {
  /** What it is made of, which goes on for another sink: neither `read` nor `write` may be under way, or be called after that. */
  readonly flow: Flow;
}
