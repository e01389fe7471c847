import type { Listen } from "../config.ts";
import type { ClientLink, Endpoint } from "../link/link.ts";
import { orExplain } from "../link/listen.ts";
import type { Log } from "../log.ts";
import type { Stats } from "./stats.ts";

export interface ListenerOptions {
  /** Gets each connection, and owns it, with how its listener speaks. Must not throw. */
  onConnection: (link: ClientLink, listen: Listen) => void;
  keepAlive: () => boolean;
  log: Log;
  stats: Stats;
}

/**
 * Accepts connections on an address, which it shares with whoever in this process has it: each thread has a listener of its own.
 * Strangers are kept away by `reservePort`.
 */
export interface Listener {
  readonly address: Endpoint;
  /** How it speaks. */
  readonly listen: Listen;
  /** Speaks from now on as `listen` says, which it serves. */
  reconfigure(listen: Listen): void;
  /** Starts to accept. Settles when clients can connect. */
  accept(): Promise<void>;
  /** Connections accepted before live on. Settles when the address is free again. */
  close(): Promise<void>;
}

/** Whether two configurations of a listener mean one address. */
export function isSameAddress(a: Listen, b: Listen): boolean {
  return a.hostname === b.hostname && a.port === b.port;
}

/** Whether a listener can go on as another configuration says: with TLS or without, WebSockets or not. */
export function serves({ listen }: Listener, wanted: Listen): boolean {
  const isSameKind = !listen.tls === !wanted.tls && !listen.webSocket === !wanted.webSocket;
  return isSameKind && isSameAddress(listen, wanted);
}

/** The port of an address that is free, which is another one when it asks for any. Throws when it cannot be had. */
export function reservePort({ hostname, port }: Endpoint): number {
  const listener = orExplain({ hostname, port }, () => Deno.listen({ hostname, port }));
  listener.close();
  return listener.addr.port;
}
