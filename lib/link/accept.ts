import { reasonOf } from "./link.ts";
import { sleep } from "./sleep.ts";

/** The first and the longest pause after a failed accept, in milliseconds. */
export const FIRST_PAUSE = 5;
export const LONGEST_PAUSE = 1000;

/** How accepting a connection fails that its client has reset meanwhile. */
const GONE = [Deno.errors.NotConnected, Deno.errors.ConnectionAborted, Deno.errors.ConnectionReset];

/** Who hears of each connection, which it owns, and of each failure, which is waited out for `retry_ms`. */
export interface Accepting<Conn> {
  onConnection: (conn: Conn) => void;
  onFailure: (failure: { reason: string; retry_ms: number }) => void;
  /** Aborted before the listener is closed. */
  signal: AbortSignal;
}

/**
 * Accepts until the signal is aborted; settles then, and never rejects. A failure, of which the usual one is to be out of
 * descriptors, is waited out, each in a row twice as long. A client that was gone before it was accepted is none: others
 * wait behind it.
 */
export async function acceptAll<Conn>(
  listener: { accept(): Promise<Conn> },
  accepting: Accepting<Conn>,
): Promise<void> {
  const { onConnection, onFailure, signal } = accepting;
  for (let pause = FIRST_PAUSE; !signal.aborted;) {
    try {
      const conn = await listener.accept();
      pause = FIRST_PAUSE;
      onConnection(conn);
    } catch (error) {
      if (signal.aborted) return;
      if (GONE.some((kind) => error instanceof kind)) continue;
      onFailure({ reason: reasonOf(error), retry_ms: pause });
      await sleep(pause, signal);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }
}
