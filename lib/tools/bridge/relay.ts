import type { TcpLink } from "../../link/tcp.ts";
import type { Connection } from "../../client/connection.ts";

/** How a session ended, for the log. */
export interface Ending {
  reason: string;
  /** The code of its end, see `END`; in version 1 there are none. */
  code?: number;
  /** It may lack something that nobody took away on purpose. */
  isLoss: boolean;
}

export interface RelayOptions {
  /** Owned. */
  local: TcpLink;
  connection: Connection;
  /** Settles when the session has ended: see `ConnectionOptions.onClosed`. */
  closed: Promise<unknown>;
  /** The most bytes that are read from the local program at once; missing: as many as are good. */
  most?: number | undefined;
  /** See `BridgeOptions.linger`. */
  linger: number;
  /** Called once, when the session has ended. */
  onEnded: (ending: Ending) => void;
}

/** What carries bytes between a local connection and a session, and takes each end to the other. */
export interface Relay {
  /** Settles when both are closed. Never rejects. */
  run(): Promise<void>;
  /** The session has a link, or has none. */
  linked(isLinked: boolean): void;
  /** Ends the session at this end and resets the local connection, at once. */
  stop(): void;
}
