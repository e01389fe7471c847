import type { LogFormat, LogLevel } from "../log.ts";
import type { EngineName } from "./engines.ts";
import type { Dialect } from "../scp/mod.ts";
import type { Address } from "./units.ts";

/** An address to listen on. */
export interface Listen {
  hostname: string;
  /** 0: any free one. */
  port: number;
  dialect: Dialect;
  /** A connection begins with a header of HAProxy's PROXY protocol that tells its client; only `trusted` may connect. */
  acceptProxy: boolean;
  /** IP addresses and networks of proxies, which are believed who their clients are. */
  trusted: string[];
  tls?: Tls;
  /** Its connections are WebSockets. */
  webSocket?: WebSocketOptions;
}

/** What a WebSocket is let in by. */
export interface WebSocketOptions {
  /** Of the URL, without a query. */
  path: string;
  /** `https://game.example`; empty: any. */
  origins: string[];
  /** 0: none. */
  pingInterval: number;
}

/** A certificate and its key: the names of the files, and what is in them. */
export interface Tls {
  certFile: string;
  keyFile: string;
  cert: string;
  key: string;
}

/** How one of the hosts of a name is chosen. */
export type Balance = "random" | "least_conn" | "round_robin" | "source";

/** Connecting to each host again and again, to see whether it is up. */
export interface Check {
  interval: number;
  timeout: number;
  /** Checks in a row that must succeed for a host that was down to be up. */
  rise: number;
  /** Checks in a row that must fail for a host that was up to be down. */
  fall: number;
}

/** A backend. */
export interface Host {
  /** What a client's targetServer names; empty: nothing does. */
  name: string;
  addr: Address;
  /** How often it is chosen, beside the others: at least 1. */
  weight: number;
  /** It is chosen only when no other of its name is up. */
  backup: boolean;
  /** It gets no new session. */
  drain: boolean;
  /** The most sessions at once; 0: any number. */
  maxSessions: number;
}

/** What is refused beyond; 0: no limit. */
export interface Limits {
  sessions: number;
  sessionsPerIp: number;
  newPerSecondPerIp: number;
  /** Connections whose handshake is not over, at once. */
  handshakes: number;
  /** Refused resumes of an address within a minute, after which its resumes are refused for a minute. */
  resumeFailuresPerIp: number;
  /** Of all resend caches together; `auto`: by the memory that there is. */
  cacheBytes: number | "auto";
}

/** Backends that are named by the DNS: `prefix` + the client's targetServer + `suffix`. */
export interface Resolv {
  prefix: string;
  suffix: string;
  port: number;
  /** A regular expression of Go that the targetServer must match; empty: any does. See `matches`. */
  pattern: string;
}

/** Whether and how the operating system probes connections that are idle. */
export interface KeepAliveOption {
  keepalive: boolean;
  /** Of silence, before the first probe; a third of it from one probe to the next. 0: as the system is set up. */
  keepaliveInterval: number;
  /** That may stay unanswered. */
  keepaliveProbes: number;
  /** How long bytes may be on their way while nothing at all is heard of the other end's system; 0: as long as it likes. */
  ackTimeout: number;
}

/** A configuration in effect. Times are milliseconds, sizes bytes; `config.yaml` says what each key is for. */
export interface Config {
  listen: Listen[];
  /** Where the manager listens; missing: nowhere. */
  manager?: { hostname: string; port: number };
  /** What every request to the manager must bear; empty: nothing. */
  managerToken: string;
  /** IP addresses and networks that may connect to the manager; empty: any. */
  managerAllow: string[];
  scp: {
    /** 0: no limit. */
    handshakeTimeout: number;
    /** 0: a session ends with its connection. */
    reuseTime: number;
    reuseBuffer: number;
    /** Whether no more is on its way to a client than half of what can be sent again. */
    inFlight: "bounded" | "unbounded";
  };
  /** For connections of clients. */
  tcpOption: KeepAliveOption & { readTimeout: number; backlog: number };
  upstreamOption: KeepAliveOption & {
    net: "tcp" | "scp";
    balance: Balance;
    check?: Check;
    connectTimeout: number;
    announce: "none" | "sproto" | "proxy_v1" | "proxy_v2";
    sprotoType: number;
    ignoreFlag: boolean;
    resolv?: Resolv;
  };
  hosts: Host[];
  /** How sockets are had. */
  io: EngineName;
  /** Threads of the data plane; `auto`: one a core. */
  workers: number | "auto";
  limits: Limits;
  /** IP addresses and networks that may connect; empty: any. */
  allow: string[];
  /** IP addresses and networks that may not connect, also when `allow` has them. */
  deny: string[];
  /** How long sessions may go on after a drain began; 0: no time. */
  drainTimeout: number;
  shutdownTimeout: number;
  log: { level: LogLevel; format: LogFormat };
}
