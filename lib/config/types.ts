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
  /** Its connections are conversations of KCP, over UDP. */
  kcp?: KcpListen;
  /** The URL by which clients everywhere reach this very listener, which they are told to move to; missing: none. */
  public?: string;
}

/** What a WebSocket is let in by. */
export interface WebSocketOptions {
  /** Of the URL, without a query. */
  path: string;
  /** `https://game.example`; empty: any. */
  origins: string[];
  /** 0: none. A connection of a session of version 2 gets none, whatever it says: that one has its own, see `Config.scp.v2`. */
  pingInterval: number;
}

/** How conversations of KCP go. Times are milliseconds, windows segments. */
export interface KcpListen {
  /** The most bytes of a datagram, 50 to 1,500, with all that KCP and FEC put around what they carry. */
  mtu: number;
  /** Between two flushes, while there is something to do. */
  interval: number;
  /** ACKs of later segments after which one is sent again; 0: never. */
  resend: number;
  /** Whether what is lost is sent again soon. */
  noDelay: boolean;
  /** Whether less is sent when segments are lost. */
  congestion: boolean;
  sendWindow: number;
  receiveWindow: number;
  /** So many datagrams of parity for so many of data; missing: none. */
  fec?: { data: number; parity: number };
  /** Without a byte of the stream from the client, after which a conversation is lost; 0: it is not. */
  readTimeout: number;
  /** Bytes that the system is to hold of what came and is not read, and of what is not on its way; missing: as it sees fit. */
  readBuffer?: number;
  writeBuffer?: number;
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

/** How nodes serve one space of sessions together. `slots` and `threads` are powers of two, and the same on all nodes. */
export interface ClusterOptions {
  /** Nodes of another name are no peers. */
  name: string;
  /** An edge owns no session: it carries every connection to a node. */
  role: "node" | "edge";
  /** How many nodes there may be, and how many threads each may have. */
  slots: number;
  threads: number;
  /** How nodes find each other. */
  discovery: "static" | "dns" | "redis";
  /** The slot of this node, with `static`. */
  slot?: number;
  /** All nodes, with `static`. */
  nodes: { slot: number; hostname: string; port: number }[];
  /** With `dns`: the node of a slot is NAME-SLOT.`service`, where this host is NAME-SLOT. */
  dns?: { service: string; port: number };
  /** With `redis`: a node has a slot for `lease`, again and again. */
  redis?: { url: string; prefix: string; lease: number };
  /** Where peers connect. */
  listen: { hostname: string; port: number };
  /** Where others reach that; missing: as `listen` says. */
  advertise?: { hostname: string; port: number };
  /** Regular expressions of Go, one of which the targetServer must match of a session that an edge sends here; empty: any does. */
  serves: string[];
  /** How often edges choose this node, beside the others: at least 1. */
  weight: number;
  tls?: ClusterTls;
  /** Any of which a peer may have; the first is what this one says. */
  secrets: string[];
  /** Where a node keeps which epoch it had; missing: nowhere. */
  stateDir?: string;
  /** After a drain began, until clients are told to move: balancers have seen by then that this one is not ready. */
  drainDelay: number;
  /** How many clients are told so in a second, at least 1. */
  drainRate: number;
}

/** How peers know each other by certificates: both show one that `ca` signed for `name`. */
export interface ClusterTls extends Tls {
  caFile: string;
  ca: string;
  name: string;
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
    /** The newest that is spoken; with 2 a client that does not offer it has a session of version 1. */
    version: 1 | 2;
    /** 0: no limit. */
    handshakeTimeout: number;
    /** Of version 1. 0: a session ends with its connection. */
    reuseTime: number;
    /** Of version 1. */
    reuseBuffer: number;
    /** Whether no more is on its way to a client than half of what can be sent again. */
    inFlight: "bounded" | "unbounded";
    /** For sessions of version 2; each keeps the `reuseTime` and the `window` that its client was told. */
    v2: {
      /** 0: a session ends with its connection. */
      reuseTime: number;
      /** The most that waits for the backend, 4096 to 16777216. */
      window: number;
      /** The most that waits for the client's acknowledgement, to be sent again; at least 65536. */
      cache: number;
      /** Of silence of either side, before a PING. 0: none are sent. */
      pingInterval: number;
      /** From a PING to the loss of its connection, when nothing is heard: more than 0. */
      pingTimeout: number;
      /** How long one direction may go on after the other has ended. 0: as long as it likes. */
      halfOpenTimeout: number;
    };
  };
  /** For connections of clients; `readTimeout` for those of version 1. */
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
  /** Missing: it is alone. */
  cluster?: ClusterOptions;
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
  /** How long another process that is to take over may take to be ready, and then for each thing that it is given. */
  upgradeTimeout: number;
  log: { level: LogLevel; format: LogFormat };
}
