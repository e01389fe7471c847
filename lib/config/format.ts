import { stringify } from "yaml";
import { plainCluster } from "./cluster/options.ts";
import { plainKcp } from "./kcp/options.ts";
import type { ClusterOptions, Config, KeepAliveOption, Listen } from "./types.ts";
import { formatAddress, formatSize, formatTime } from "./units.ts";

/** A configuration file that stands for this configuration, with every key. */
export function formatConfig(config: Config): string {
  return stringify(plainConfig(config));
}

/** The values of that file, by their keys. */
export function plainConfig(config: Config): Record<string, unknown> {
  const { scp, tcpOption, upstreamOption: { resolv, check, ...upstream }, limits, log } = config;
  return {
    listen: config.listen.map(plainListen),
    manager: config.manager ? formatAddress({ kind: "tcp", ...config.manager }) : "",
    manager_token: config.managerToken,
    manager_allow: config.managerAllow,
    scp: {
      version: scp.version,
      handshake_timeout: formatTime(scp.handshakeTimeout),
      reuse_time: formatTime(scp.reuseTime),
      reuse_buffer: formatSize(scp.reuseBuffer),
      in_flight: scp.inFlight,
      v2: plainV2(scp.v2),
    },
    tcp_option: {
      read_timeout: formatTime(tcpOption.readTimeout),
      backlog: tcpOption.backlog,
      ...plainKeepAlive(tcpOption),
    },
    upstream_option: {
      net: upstream.net,
      balance: upstream.balance,
      ...(check && {
        check: {
          interval: formatTime(check.interval),
          timeout: formatTime(check.timeout),
          rise: check.rise,
          fall: check.fall,
        },
      }),
      connect_timeout: formatTime(upstream.connectTimeout),
      ...plainKeepAlive(upstream),
      announce: upstream.announce,
      sproto_type: upstream.sprotoType,
      ignore_flag: upstream.ignoreFlag,
      ...(resolv && { resolv }),
    },
    hosts: config.hosts.map(({ name, addr, weight, backup, drain, maxSessions }) => ({
      name,
      addr: formatAddress(addr),
      weight,
      backup,
      drain,
      max_sessions: maxSessions,
    })),
    limits: {
      sessions: limits.sessions,
      sessions_per_ip: limits.sessionsPerIp,
      new_per_second_per_ip: limits.newPerSecondPerIp,
      handshakes: limits.handshakes,
      resume_failures_per_ip: limits.resumeFailuresPerIp,
      cache_bytes: limits.cacheBytes === "auto" ? "auto" : formatSize(limits.cacheBytes),
    },
    ...(config.cluster && { cluster: plainCluster(config.cluster) }),
    io: config.io,
    workers: config.workers,
    allow: config.allow,
    deny: config.deny,
    drain_timeout: formatTime(config.drainTimeout),
    shutdown_timeout: formatTime(config.shutdownTimeout),
    upgrade_timeout: formatTime(config.upgradeTimeout),
    log,
  };
}

function plainListen(
  { dialect, acceptProxy, trusted, tls, webSocket, kcp, ...entry }: Listen,
): Record<string, unknown> {
  const { hostname, port } = entry;
  return {
    [kcp ? "kcp" : webSocket ? "ws" : "tcp"]: formatAddress({ kind: "tcp", hostname, port }),
    ...(webSocket && {
      path: webSocket.path,
      origins: webSocket.origins,
      ping_interval: formatTime(webSocket.pingInterval),
    }),
    ...(kcp && plainKcp(kcp)),
    dialect,
    ...(!kcp && { accept_proxy: acceptProxy, trusted }),
    ...(tls && { tls: { cert: tls.certFile, key: tls.keyFile } }),
    ...(entry.public !== undefined && { public: entry.public }),
  };
}

const HIDDEN = "(hidden)";

/** The same configuration, for those who may know it but not what is secret in it. */
export function withoutSecrets(config: Config): Config {
  const { managerToken, cluster } = config;
  const hidden = { ...config, managerToken: managerToken && HIDDEN };
  return cluster ? { ...hidden, cluster: withoutSecretsOf(cluster) } : hidden;
}

function withoutSecretsOf({ secrets, redis, ...cluster }: ClusterOptions): ClusterOptions {
  return {
    ...cluster,
    ...(redis && { redis: { ...redis, url: withoutPassword(redis.url) } }),
    secrets: secrets.map(() => HIDDEN),
  };
}

/** Who is alone before the @ may be a password as well, as for Redis's own programs. */
function withoutPassword(text: string): string {
  const url = new URL(text);
  if (url.password) url.password = HIDDEN;
  else if (url.username) url.username = HIDDEN;
  return url.href;
}

function plainV2(v2: Config["scp"]["v2"]): Record<string, unknown> {
  return {
    reuse_time: formatTime(v2.reuseTime),
    window: formatSize(v2.window),
    cache: formatSize(v2.cache),
    ping_interval: formatTime(v2.pingInterval),
    ping_timeout: formatTime(v2.pingTimeout),
    half_open_timeout: formatTime(v2.halfOpenTimeout),
  };
}

function plainKeepAlive(option: KeepAliveOption): Record<string, unknown> {
  return {
    keepalive: option.keepalive,
    keepalive_interval: formatTime(option.keepaliveInterval),
    keepalive_probes: option.keepaliveProbes,
    ack_timeout: formatTime(option.ackTimeout),
  };
}
