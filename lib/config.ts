import * as v from "valibot";
import { boundBy, DEFAULT_LISTENER, shadowed, taken } from "./config/addresses/bound.ts";
import { clusterWarnings, tight } from "./config/cluster/faults.ts";
import { clusterOf } from "./config/cluster/options.ts";
import { type Fault, formatPath, isReferredTo, type Node, plainOf, readSource } from "./config/document.ts";
import { faultsOf, impatient, meaningless, notHonoured, slow, unknownKeys } from "./config/faults.ts";
import { type Lookup, lookUpNames } from "./config/addresses/names.ts";
import { type LoadCa, loadClusterTls, type LoadPair, loadPairs } from "./config/pairs.ts";
import { kcpOf, kcpOfGoscon } from "./config/kcp/options.ts";
import { schema } from "./config/schema.ts";
import type { ClusterTls, Config, Listen, Tls } from "./config/types.ts";
import type { Dialect } from "./scp/mod.ts";

export { formatConfig, plainConfig, withoutSecrets } from "./config/format.ts";
export { faultOfMove } from "./config/addresses/move_url.ts";
export { idsOfThread } from "./config/cluster/id_bits.ts";
export type { LoadCa, LoadPair } from "./config/pairs.ts";
export { matches } from "./config/pattern.ts";
export type {
  Balance,
  Check,
  ClusterOptions,
  ClusterTls,
  Config,
  Host,
  KcpListen,
  KeepAliveOption,
  Limits,
  Listen,
  Tls,
  WebSocketOptions,
} from "./config/types.ts";
export { type Address, formatAddress, parseAddress } from "./config/units.ts";

/** The dialects that a listener can speak. */
export const DIALECTS: readonly Dialect[] = ["goscon", "plain"];

const DEFAULT_WEIGHT = 100;
const DEFAULT_PATH = "/scp";
const DEFAULT_PING_INTERVAL = 30_000;

/** A file that is not a configuration: each of its faults as `FILE:LINE:COLUMN: path: what is wrong`. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("\n"));
    this.faults = faults;
  }
}

/** What a file says, and what is to be said of it. */
interface Parsed {
  config: Config;
  warnings: string[];
}

/**
 * Reads a configuration file. `file` only names it, in faults and warnings. A warning names what goscon has and we
 * cannot honour. Throws `ConfigError` with all faults of the file.
 */
export function parseConfig(text: string, file: string, loadPair?: LoadPair, loadCa?: LoadCa): Parsed {
  const { config, root, bound, warnings, tell } = parse(text, file, loadPair, loadCa);
  return { config, warnings: tell([...warnings, ...shadowed(bound, root)]) };
}

/**
 * As `parseConfig`, and looks up the names that are to be listened on, as two may be one address. A name that cannot be looked
 * up within two seconds is a warning.
 */
export async function readConfig(
  text: string,
  file: string,
  { loadPair, loadCa, lookup }: { loadPair: LoadPair; loadCa?: LoadCa; lookup: Lookup },
): Promise<Parsed> {
  const { config, root, warnings, tell, ...parsed } = parse(text, file, loadPair, loadCa);
  const { bound, warnings: unknown } = await lookUpNames(parsed.bound, lookup, root);
  const faults = taken(bound, root);
  if (faults.length > 0) throw new ConfigError(tell(faults));
  return { config, warnings: tell([...warnings, ...unknown, ...shadowed(bound, root)]) };
}

/** A file, as far as it says itself. */
function parse(
  text: string,
  file: string,
  loadPair: LoadPair = () => ({ cert: "", key: "" }),
  loadCa: LoadCa = () => "",
) {
  const { root: read, faults: noYaml, warnings, placeOf } = readSource(text);
  const root = settingsOf(read);
  const tell = (found: Fault[]) =>
    found.toSorted((a, b) => a.at - b.at).map(({ path, at, text }) =>
      `${file}:${placeOf(at)}: ${path.length > 0 ? formatPath(path) + ": " : ""}${text}`
    );
  if (noYaml.length > 0) throw new ConfigError(tell(noYaml));
  const input = plainOf(root) ?? {};
  const result = v.safeParse(schema, input);
  const faults = [
    ...faultsOf(result.issues ?? [], root),
    ...unknownKeys(root),
    ...meaningless(input, root),
  ];
  if (faults.length > 0 || !result.success) throw new ConfigError(tell(faults));
  const pairs = loadPairs(result.output.listen ?? [], loadPair, root);
  const peers = loadClusterTls(result.output.cluster?.tls, { loadPair, loadCa }, root);
  const unusable = [...pairs.faults, ...peers.faults];
  if (unusable.length > 0) throw new ConfigError(tell(unusable));
  const config = configOf(result.output, pairs.loaded, peers.loaded);
  return {
    config,
    root,
    bound: boundBy(input),
    warnings: [
      ...warnings,
      ...notHonoured(input, root),
      ...slow(config.scp, root),
      ...impatient(config.scp, root),
      ...clusterWarnings(input, root),
      ...tight(config, root),
    ],
    /** `FILE:LINE:COLUMN: path: what is to be said`, in the order of the file. */
    tell,
  };
}

/**
 * What of a file is configuration. A key of any name at its top may hold what aliases refer to, as viper takes every key; and
 * it takes one value for a list of it.
 */
function settingsOf(root: Node): Node {
  if (!(root.value instanceof Map)) return root;
  const settings = [...root.value].filter(([key, { node }]) => key in schema.entries || !isReferredTo(node));
  const value = new Map(settings.map(([key, entry]) => {
    const { node } = entry;
    const isOne = key === "hosts" && node.value instanceof Map;
    return [key, isOne ? { ...entry, node: { ...node, value: [node] } } : entry];
  }));
  return { ...root, value };
}

type Output = v.InferOutput<typeof schema>;

function configOf(output: Output, pairs: (Tls | undefined)[], peers: ClusterTls | undefined): Config {
  const { scp, tcp_option, upstream_option: { resolv, check, ...upstream }, limits, manager, cluster } = output;
  return {
    listen: listenOf(output, pairs),
    ...(manager && { manager: { hostname: manager.hostname, port: manager.port } }),
    managerToken: output.manager_token,
    managerAllow: output.manager_allow,
    scp: {
      version: scp.version,
      handshakeTimeout: scp.handshake_timeout,
      reuseTime: scp.reuse_time,
      reuseBuffer: scp.reuse_buffer,
      inFlight: scp.in_flight,
      v2: v2Of(scp.v2),
    },
    tcpOption: {
      readTimeout: tcp_option.read_timeout,
      backlog: tcp_option.backlog,
      ...keepAliveOf(tcp_option),
    },
    upstreamOption: {
      net: upstream.net,
      balance: upstream.balance,
      ...(check && { check }),
      ...keepAliveOf(upstream),
      connectTimeout: upstream.connect_timeout,
      announce: upstream.announce,
      sprotoType: upstream.sproto_type,
      ignoreFlag: upstream.ignore_flag,
      ...(resolv && { resolv }),
    },
    hosts: output.hosts.map(({ name, addr, weight, backup, drain, max_sessions }) => ({
      name,
      addr,
      weight: weight > 0 ? weight : DEFAULT_WEIGHT,
      backup,
      drain,
      maxSessions: max_sessions,
    })),
    limits: {
      sessions: limits.sessions,
      sessionsPerIp: limits.sessions_per_ip,
      newPerSecondPerIp: limits.new_per_second_per_ip,
      handshakes: limits.handshakes,
      resumeFailuresPerIp: limits.resume_failures_per_ip,
      cacheBytes: limits.cache_bytes,
    },
    ...(cluster && { cluster: clusterOf(cluster, peers) }),
    io: output.io,
    workers: output.workers,
    allow: output.allow,
    deny: output.deny,
    drainTimeout: output.drain_timeout,
    shutdownTimeout: output.shutdown_timeout,
    upgradeTimeout: output.upgrade_timeout,
    log: output.log,
  };
}

function v2Of(v2: Output["scp"]["v2"]): Config["scp"]["v2"] {
  return {
    reuseTime: v2.reuse_time,
    window: v2.window,
    cache: v2.cache,
    pingInterval: v2.ping_interval,
    pingTimeout: v2.ping_timeout,
    halfOpenTimeout: v2.half_open_timeout,
  };
}

function keepAliveOf(
  option: Pick<Output["tcp_option"], `keepalive${string}` & keyof Output["tcp_option"] | "ack_timeout">,
) {
  return {
    keepalive: option.keepalive,
    keepaliveInterval: option.keepalive_interval,
    keepaliveProbes: option.keepalive_probes,
    ackTimeout: option.ack_timeout,
  };
}

/** goscon's own `tcp` and `kcp` come first; where a file has neither `tcp` nor `listen`, there is the default one of TCP, as there. */
function listenOf(output: Output, pairs: (Tls | undefined)[]): Listen[] {
  const { tcp = null, kcp, kcp_option, listen } = output;
  const first = tcp === "none" ? undefined : tcp ?? (listen ? undefined : DEFAULT_LISTENER);
  const ofGoscon = (address: typeof DEFAULT_LISTENER): Listen => (
    { ...place(address), dialect: "goscon", acceptProxy: false, trusted: [] }
  );
  const others = (listen ?? []).map(({ tcp, ws, kcp, dialect, accept_proxy, trusted, ...entry }, i): Listen => ({
    ...place((tcp ?? ws ?? kcp)!),
    dialect,
    acceptProxy: accept_proxy,
    trusted,
    ...(pairs[i] && { tls: pairs[i] }),
    ...(ws && { webSocket: webSocketOf(entry) }),
    ...(kcp && { kcp: kcpOf(entry) }),
    ...(entry.public !== undefined && { public: entry.public }),
  }));
  return [
    ...(first ? [ofGoscon(first)] : []),
    ...(kcp ? [{ ...ofGoscon(kcp), kcp: kcpOfGoscon(kcp_option) }] : []),
    ...others,
  ];
}

function place({ hostname, port }: typeof DEFAULT_LISTENER) {
  return { hostname, port };
}

function webSocketOf(entry: Pick<NonNullable<Output["listen"]>[number], "path" | "origins" | "ping_interval">) {
  const { path = DEFAULT_PATH, origins = [], ping_interval: pingInterval = DEFAULT_PING_INTERVAL } = entry;
  return { path, origins, pingInterval };
}
