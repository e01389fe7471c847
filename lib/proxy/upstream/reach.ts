import { type Address, type Config, matches } from "../../config.ts";
import { Connection } from "../../client/connection.ts";
import { dial, type DialOptions, lookUp } from "../../link/dial.ts";
import { type Link, reasonOf, writeAll } from "../../link/link.ts";
import { FLAG_FORBID_ANNOUNCE } from "../../scp/mod.ts";
import { FLAG_VERSION_2 } from "../../scp/v2/mod.ts";
import { announcement, type ClientInfo } from "./announce.ts";
import type { Dialler } from "./dialler.ts";
import { EchoLink } from "./echo.ts";
import type { HostState } from "./host_state.ts";
import type { ReachSeams } from "../seams.ts";
import { tcpOptionsOf } from "../tcp_options.ts";
import { isUnknownName, type Resolver } from "./resolver.ts";

/** Who wants a backend. */
export interface BackendRequest {
  /** The client's targetServer; may be empty. */
  target: string;
  /** The client's flag. */
  flag: number;
  client: ClientInfo;
  /** Gives the dialling up. */
  signal: AbortSignal;
}

/**
 * `upstream_option.resolv`: the addresses of what the name stands for. `undefined`: it does not fit the pattern, or everything does
 * and the DNS knows no such name. Rejects when one that fits has none, or the DNS does not say: its client is to get no other backend.
 */
export async function resolve(
  name: string,
  config: Config,
  seams: ReachSeams,
  resolver: Resolver,
  signal: AbortSignal,
): Promise<Address[] | undefined> {
  const rule = config.upstreamOption.resolv;
  if (!rule || !matches(rule.pattern, name)) return undefined;
  const hostname = rule.prefix + name + rule.suffix;
  try {
    const ips = await lookUp(hostname, { ...dialOptions(config, seams, signal), lookup: resolver.lookUpForClient });
    return ips.map((ip) => ({ kind: "tcp", hostname: ip, port: rule.port }));
  } catch (error) {
    signal.throwIfAborted();
    const fields = { name, hostname, reason: reasonOf(error) };
    if (!isUnknownName(error)) {
      seams.log.warning("upstream name not looked up", fields);
      throw error;
    }
    seams.log.warning("upstream name unknown", fields);
    if (rule.pattern !== "") throw error;
    return undefined;
  }
}

/** Opens a connection to a host. */
export function dialHost(
  { host: { addr } }: HostState,
  config: Config,
  seams: ReachSeams,
  signal: AbortSignal,
): Promise<Link> {
  return addr.kind === "builtin" ? Promise.resolve(new EchoLink()) : dial(addr, dialOptions(config, seams, signal));
}

/** Connects to a backend, and announces the client to it. The caller owns the link. */
export async function reach(
  dialler: Dialler,
  request: BackendRequest,
  config: Config,
  seams: ReachSeams,
): Promise<Link> {
  if (dialler.isBuiltin) return await dialler.dial(request.signal);
  const { announce, sprotoType, ignoreFlag } = config.upstreamOption;
  const link = await open(dialler, request, config, seams);
  try {
    const forbidden = !ignoreFlag && (request.flag & FLAG_FORBID_ANNOUNCE) !== 0;
    const first = announcement(announce, forbidden ? undefined : request.client, sprotoType);
    if (first.length > 0) await writeAll(link, first);
    return link;
  } catch (error) {
    link.close();
    throw error;
  }
}

/** Over TCP, or, with `net: scp`, as a client of another SCP proxy, which then is not to tell our address for the client's. */
function open(dialler: Dialler, request: BackendRequest, config: Config, seams: ReachSeams): Promise<Link> {
  const { target, flag, client, signal } = request;
  if (config.upstreamOption.net === "tcp") return dialler.dial(signal);
  const { version, reuseBuffer, v2 } = config.scp;
  const fields = () => ({ id: client.sessionId, upstream: dialler.chosen?.address });
  return Connection.open({
    dial: dialler.dial,
    target,
    flag: flag & ~FLAG_VERSION_2 | FLAG_FORBID_ANNOUNCE,
    ...(version === 1 ? { version, cacheSize: reuseBuffer } : { cacheSize: v2.cache, allowHalfOpen: true }),
    ...{ window: v2.window, pingInterval: v2.pingInterval, pingTimeout: v2.pingTimeout },
    handshakeTimeout: config.upstreamOption.connectTimeout,
    // A needless resume of version 1 could be more than the caches hold that the other proxy has: keepalive has to do.
    silence: 0,
    // The Go program does, and it may be one.
    serverForgets: true,
    signal,
    onLost: (reason) => seams.log.info("upstream lost", { ...fields(), reason }),
    onResumed: ({ attempts, resent }) => seams.log.info("upstream resumed", { ...fields(), attempts, resent }),
  });
}

function dialOptions(config: Config, { lookup, addresses, engine }: ReachSeams, signal: AbortSignal): DialOptions {
  return {
    timeout: config.upstreamOption.connectTimeout,
    ...tcpOptionsOf(config.upstreamOption),
    engine,
    addresses,
    lookup,
    signal,
  };
}
