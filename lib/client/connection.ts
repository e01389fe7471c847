import type { Link } from "../link/link.ts";
import type { ConnectionOptions } from "./connection_options.ts";
import { flowing } from "./flowing.ts";
import { openConnection } from "./open_connection.ts";
import { Version1Connection } from "./v1/connection.ts";

export type { ConnectionOptions, Resumption } from "./connection_options.ts";

/** Bytes of a session, received and sent. */
export interface Bytes {
  received: number;
  sent: number;
}

/**
 * The client's end of a session. It is a link that does not break: when the one below does, it dials and resumes by itself, and
 * reads and writes wait meanwhile. What the two versions of the protocol make of that, their classes say.
 */
export interface Connection extends Link {
  /** The session's id. */
  readonly id: number;
  /** The version of the protocol that it speaks. */
  readonly version: 1 | 2;
  /** Bytes received and sent in this session. */
  readonly bytes: Bytes;
  /** As a link's. Rejects with why the session was lost for good; `null` when it came to its end in order. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes all of `bytes`, and ciphers them in place: their content is lost. In version 1 at most as many as the cache holds. */
  write(bytes: Uint8Array): Promise<number>;
  /** Nothing more will be written. In version 1 that ends the session. */
  closeWrite(): Promise<void>;
  /** Ends the session at this end, at once; with an `error`, whatever it is, reads and writes reject with it. */
  close(error?: unknown): void;
  /** As `close()`, but what was sent is not all there was to be: in version 2 the other end learns that. */
  reset(): void;
  /**
   * The network may be back: a session without a link tries to resume at once, whether it pauses or waits for an answer, and its
   * pauses begin with the shortest again. A link that is there is left alone.
   */
  hurry(): void;
  /** The network may have changed: as `hurry`, and a link that is there is doubted, and replaced unless something comes over it. */
  retryNow(): void;
  /** Drops the link below as a broken network would; for tests of what is built on it. */
  cut(): void;
}

export const Connection: {
  /**
   * Opens a session. Rejects with an `ScpError` when the proxy refuses, or with why it could not be reached, or does not speak the
   * version that was asked for.
   */
  open(options: ConnectionOptions): Promise<Connection>;
} = {
  open: (options) => openConnection({ ...options, ...flowing(options) }, () => Version1Connection),
};
