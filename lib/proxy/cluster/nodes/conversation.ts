import type { Endpoint } from "../../../link/link.ts";
import type { Identity } from "./peers.ts";

/** A connection to a peer that is known to be one, to ask it things: one at a time, and the answers come in order. */
export interface Conversation {
  /** Who is at the other end. */
  readonly peer: Identity;
  /**
   * Rejects with what the peer says is wrong, and when the conversation is lost, which it is, too, when there is no answer after `timeout`
   * milliseconds, and then the `kind` is `late`: what came then would be taken for the next answer.
   */
  ask(method: string, args: unknown, timeout: number): Promise<unknown>;
  /** Closes it at once. May be called again. */
  close(): void;
  /** Settles with why, when it is lost, or closed here. */
  readonly lost: Promise<string>;
}

/**
 * Opens a conversation with who is at an address; the caller closes it. Settles within seconds. What it rejects with has a `kind`, for
 * one `refused`, when nothing listens there, or `self`, when it is this very process.
 */
export type Connect = (addr: Endpoint, kind: "watch" | "call", to: { slot?: number; epoch?: number }) => Promise<
  Conversation
>;

/** Why there is no conversation, in a word. */
export function kindOf(error: unknown): string | undefined {
  const { kind } = (error ?? {}) as { kind?: unknown };
  return typeof kind === "string" ? kind : undefined;
}
