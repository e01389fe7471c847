import { stringify } from "yaml";
import type { Config, KeepAliveOption } from "./types.ts";
import { formatAddress, formatSize, formatTime } from "./units.ts";

/** A configuration file that stands for this configuration, with every key. */
export function formatConfig(config: Config): string {
  return stringify(plainConfig(config));
}

/** The values of that file, by their keys. */
export function plainConfig(config: Config): Record<string, unknown> {
  const { scp, tcpOption, upstreamOption: { resolv, check, ...upstream }, limits, log } = config;
  return {
    listen: config.listen.map(({ hostname, port, dialect, acceptProxy, trusted, tls, webSocket }) => ({
      [webSocket ? "ws" : "tcp"]: formatAddress({ kind: "tcp", hostname, port }),
      ...(webSocket && {
        path: webSocket.path,
        origins: webSocket.origins,
        ping_interval: formatTime(webSocket.pingInterval),
      }),
      dialect,
      accept_proxy: acceptProxy,
      trusted,
      ...(tls && { tls: { cert: tls.certFile, key: tls.keyFile } }),
    })),
    manager: config.manager ? formatAddress({ kind: "tcp", ...config.manager }) : "",
    manager_token: config.managerToken,
    manager_allow: config.managerAllow,
    scp: {
      handshake_timeout: formatTime(scp.handshakeTimeout),
      reuse_time: formatTime(scp.reuseTime),
      reuse_buffer: formatSize(scp.reuseBuffer),
      in_flight: scp.inFlight,
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
    io: config.io,
    workers: config.workers,
    allow: config.allow,
    deny: config.deny,
    drain_timeout: formatTime(config.drainTimeout),
    shutdown_timeout: formatTime(config.shutdownTimeout),
    log,
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
