import { parseAddress } from "../../config.ts";
import { acceptAll } from "../../link/accept.ts";
import { dial } from "../../link/dial.ts";
import { KEEP_ALIVE } from "../../link/engine/engine.ts";
import { type Endpoint, formatEndpoint } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import { TcpLink } from "../../link/tcp.ts";
import type { Fields, Log } from "../../log.ts";
import { Carriage } from "./carriage.ts";
import { type ConnectionOptions, SILENCE } from "../../client/connection_options.ts";

/** See `BridgeOptions.linger`. */
export const DEFAULT_LINGER = 300_000;
/** More than kernels usually hold of a stream whose reader is stalled: a cut then must not cost the session. Used as it fills. */
const CACHE_SIZE = 16 * 2 ** 20;
const DIAL_TIMEOUT = 10_000;

export interface BridgeOptions {
  /** Port 0 is any free one. */
  listen: Endpoint;
  /** The proxy: `host:port`, `[v6]:port` or `unix:/path`. */
  connect: string;
  target?: string;
  /** Default `goscon`. */
  dialect?: ConnectionOptions["dialect"];
  log: Log;
  /**
   * Milliseconds without a byte from the backend, after the local program has ended its direction, until its session ends:
   * the protocol cannot tell the backend that the program has ended. Default 5 minutes.
   */
  linger?: number;
  /** See `ConnectionOptions`. */
  serverForgets?: boolean;
  /** See `ConnectionOptions`. */
  silence?: number;
  /** Asked at each connection for what its session is to be opened with otherwise than by default. */
  session?: () => Partial<ConnectionOptions>;
}

/** Where plain TCP connections are taken. */
export interface Bridge {
  readonly address: Endpoint;
  /** Ends every session at this end, at once, and settles when all is closed. The proxy keeps its ends for its `reuse_time`. */
  stop(): Promise<void>;
}

/**
 * Carries each TCP connection to `listen` as a session of its own. Throws, when `connect` is no address or `listen` cannot
 * be had, why. What becomes of a session is told to the log, where bytes are `sent` to the backend and `received` from it.
 */
export function startBridge(options: BridgeOptions): Bridge {
  const proxy = parseAddress(options.connect);
  if (proxy.kind === "builtin") throw new Error(`Cannot connect to ${options.connect}: it is not an address`);
  const { target = "", dialect = "goscon", log, linger = DEFAULT_LINGER, serverForgets = false, silence = SILENCE } =
    options;
  const defaults: ConnectionOptions = {
    dial: (signal) => dial(proxy, { timeout: DIAL_TIMEOUT, keepAlive: KEEP_ALIVE, signal }),
    target,
    dialect,
    cacheSize: CACHE_SIZE,
    serverForgets,
    silence,
  };
  const { hostname, port: wanted } = options.listen;
  const listener = orExplain(options.listen, () => Deno.listen({ hostname, port: wanted }));
  const address = { hostname: listener.addr.hostname, port: listener.addr.port };
  const stopping = new AbortController();
  const running = new Map<Carriage, Promise<void>>();
  const onConnection = (conn: Deno.TcpConn) => {
    const carriage = new Carriage(new TcpLink(conn, { keepAlive: true }), linger, log);
    running.set(
      carriage,
      carriage.run({ ...defaults, ...options.session?.() }).finally(() => running.delete(carriage)),
    );
  };
  const onFailure = (failure: Fields) => log.error("accept failed", { local: formatEndpoint(address), ...failure });
  const accepting = acceptAll(listener, { onConnection, onFailure, signal: stopping.signal });
  log.info("bridge listening", { address: formatEndpoint(address), connect: options.connect, target, dialect });
  const stop = async () => {
    if (!stopping.signal.aborted) {
      stopping.abort();
      listener.close();
    }
    for (const carriage of running.keys()) carriage.stop();
    await Promise.all([accepting, ...running.values()]);
  };
  return { address, stop };
}
