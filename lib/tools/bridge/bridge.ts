import { acceptAll } from "../../link/accept.ts";
import { type Endpoint, formatEndpoint } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import { TcpLink } from "../../link/tcp.ts";
import type { TlsOptions } from "../../link/trust.ts";
import type { Fields, Log } from "../../log.ts";
import { diallingTo } from "../proxy_address.ts";
import { Carriage } from "./carriage.ts";
import type { KcpConnectOptions } from "../../client/kcp_dialers.ts";
import { type ConnectionOptions, SILENCE } from "../../client/connection_options.ts";

/** See `BridgeOptions.linger`. */
export const DEFAULT_LINGER = 300_000;
/** More than kernels usually hold of a stream whose reader is stalled: a cut then must not cost the session. Used as it fills. */
const CACHE_SIZE = 16 * 2 ** 20;
const DIAL_TIMEOUT = 10_000;

export interface BridgeOptions extends TlsOptions, KcpConnectOptions {
  /** Port 0 is any free one. */
  listen: Endpoint;
  /** The proxy: `host:port`, `[v6]:port`, `unix:/path`, or a URL: `tcp://host:port`, `tls://host:port`, `kcp://host:port`. */
  connect: string;
  target?: string;
  /** Default `goscon`. */
  dialect?: ConnectionOptions["dialect"];
  /** See `ConnectionOptions`. */
  version?: ConnectionOptions["version"];
  log: Log;
  /**
   * Version 1, which cannot tell the backend that the local program has ended its direction: milliseconds without a byte from the
   * backend after that, until the session ends. Default 5 minutes.
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
  /**
   * Ends every session at this end, at once, and settles when all is closed. Backends see a reset; of a session of version 2 without a
   * link the proxy is told, which takes 6 seconds at most. In version 1 the proxy keeps its ends for its `reuse_time`.
   */
  stop(): Promise<void>;
}

/**
 * Carries each TCP connection to `listen` as a session of its own. Throws, when `connect` is no address or `listen` cannot
 * be had, why. What becomes of a session is told to the log, where bytes are `sent` to the backend and `received` from it.
 */
export function startBridge(options: BridgeOptions): Bridge {
  const { connect, ca, servername, fec } = options;
  const { target = "", dialect = "goscon", version = "auto", log } = options;
  const { linger = DEFAULT_LINGER, serverForgets = false, silence = SILENCE } = options;
  const defaults: ConnectionOptions = {
    ...diallingTo(connect, { timeout: DIAL_TIMEOUT, ca, servername, fec, silence }),
    version,
    target,
    dialect,
    allowHalfOpen: true,
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
  log.info("bridge listening", { address: formatEndpoint(address), connect, target, dialect });
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
