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
  /** Nothing more will be written: to be called when all was taken. */
  closeWrite(): void;
  /** Tells of nothing but room for writes, until `resume`. */
  pause(): void;
  /** `most`: the most bytes to be told of at once. */
  resume(most: number): void;
  /** Bytes that were written and that the system of the other end has not acknowledged; 0 where nobody knows. */
  unacknowledged(): number;
  /** Milliseconds since its system was heard of, while it owes an answer; 0: it owes none, or nobody knows. */
  silence(): number;
  /** Closes it at once; nothing is told any more. May be called again. */
  close(): void;
  /** As `close`, so that the other end sees a reset; where that cannot be had it sees an end. */
  reset(): void;
}

/** What a link is made of, where it is a flow below. */
export function flowIn(link: Link): Flow | undefined {
  return "flow" in link ? (link as FlowingLink).flow : undefined;
}

/** A link that is a flow below. */
export interface FlowingLink extends Link {
  /** What it is made of, which goes on for another sink: neither `read` nor `write` may be under way, or be called after that. */
  readonly flow: Flow;
}
