import * as v from "valibot";
import { LineCounter, parseDocument, stringify } from "yaml";
import { type Fault, faultsOf, formatPath, meaningless, notHonoured, unknownKeys } from "./config/faults.ts";
import { schema } from "./config/schema.ts";
import { type Address, formatAddress, formatSize, formatTime, parseAddress } from "./config/units.ts";
import type { LogFormat, LogLevel } from "./log.ts";
import type { Dialect } from "./scp/mod.ts";

export { type Address, formatAddress, parseAddress };

/** The dialects that a listener can speak. */
export const DIALECTS: readonly Dialect[] = ["goscon", "plain"];

const DEFAULT_WEIGHT = 100;

/** An address to listen on. */
export interface Listen {
  hostname: string;
  /** 0: any free one. */
  port: number;
  dialect: Dialect;
}

/** A backend. */
export interface Host {
  /** What a client's targetServer names; empty: nothing does. */
  name: string;
  addr: Address;
  /** How often it is chosen, beside the others: at least 1. */
  weight: number;
}

/** Backends that are named by the DNS: `prefix` + the client's targetServer + `suffix`. */
export interface Resolv {
  prefix: string;
  suffix: string;
  port: number;
  /** A regular expression that the targetServer must match; empty: any does. */
  pattern: string;
}

/** A configuration in effect. Times are milliseconds, sizes bytes; `config.yaml` says what each key is for. */
export interface Config {
  listen: Listen[];
  manager: string;
  scp: {
    /** 0: no limit. */
    handshakeTimeout: number;
    /** 0: a session ends with its connection. */
    reuseTime: number;
    reuseBuffer: number;
  };
  tcpOption: { readTimeout: number; keepalive: boolean; keepaliveInterval: number };
  upstreamOption: {
    net: "tcp" | "scp";
    connectTimeout: number;
    announce: "none" | "sproto" | "proxy_v1" | "proxy_v2";
    sprotoType: number;
    resolv?: Resolv;
  };
  hosts: Host[];
  shutdownTimeout: number;
  log: { level: LogLevel; format: LogFormat };
}

/** A file that is not a configuration: each of its faults as `FILE:LINE:COLUMN: path: what is wrong`. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("\n"));
    this.faults = faults;
  }
}

/**
 * Reads a configuration file. `file` only names it, in faults and warnings. A warning names what goscon has and we
 * cannot honour. Throws `ConfigError` with all faults of the file.
 */
export function parseConfig(text: string, file: string): { config: Config; warnings: string[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = ({ path, at, text }: Fault) => {
    const { line, col } = lines.linePos(at);
    return `${file}:${line || 1}:${col || 1}: ${path.length > 0 ? formatPath(path) + ": " : ""}${text}`;
  };
  const inOrder = (found: Fault[]) => found.toSorted((a, b) => a.at - b.at).map(place);
  if (document.errors.length > 0) {
    throw new ConfigError(
      inOrder(document.errors.map(({ pos, message }) => ({ path: [], at: pos[0], text: message }))),
    );
  }
  const input = document.toJS() ?? {};
  const result = v.safeParse(schema, input);
  const faults = [
    ...faultsOf(result.issues ?? [], document),
    ...unknownKeys(document.contents),
    ...meaningless(input, document),
  ];
  if (faults.length > 0 || !result.success) throw new ConfigError(inOrder(faults));
  return { config: configOf(result.output), warnings: inOrder(notHonoured(input, document)) };
}

/** A configuration file that stands for this configuration, with every key. */
export function formatConfig(config: Config): string {
  const { scp, tcpOption, upstreamOption: { resolv, ...upstream }, log } = config;
  return stringify({
    listen: config.listen.map(({ dialect, ...address }) => ({
      tcp: formatAddress({ kind: "tcp", ...address }),
      dialect,
    })),
    manager: config.manager,
    scp: {
      handshake_timeout: formatTime(scp.handshakeTimeout),
      reuse_time: formatTime(scp.reuseTime),
      reuse_buffer: formatSize(scp.reuseBuffer),
    },
    tcp_option: {
      read_timeout: formatTime(tcpOption.readTimeout),
      keepalive: tcpOption.keepalive,
      keepalive_interval: formatTime(tcpOption.keepaliveInterval),
    },
    upstream_option: {
      net: upstream.net,
      connect_timeout: formatTime(upstream.connectTimeout),
      announce: upstream.announce,
      sproto_type: upstream.sprotoType,
      ...(resolv && { resolv }),
    },
    hosts: config.hosts.map(({ name, addr, weight }) => ({ name, addr: formatAddress(addr), weight })),
    shutdown_timeout: formatTime(config.shutdownTimeout),
    log,
  });
}

function configOf(output: v.InferOutput<typeof schema>): Config {
  const { tcp, scp, tcp_option, upstream_option: { resolv, ...upstream } } = output;
  const others = output.listen ?? [];
  const first = tcp ?? (output.listen || "tcp" in output ? undefined : { hostname: "0.0.0.0", port: 1248 });
  return {
    listen: [...(first ? [{ tcp: first, dialect: "goscon" as const }] : []), ...others]
      .map(({ tcp: { hostname, port }, dialect }) => ({ hostname, port, dialect })),
    manager: output.manager,
    scp: { handshakeTimeout: scp.handshake_timeout, reuseTime: scp.reuse_time, reuseBuffer: scp.reuse_buffer },
    tcpOption: {
      readTimeout: tcp_option.read_timeout,
      keepalive: tcp_option.keepalive,
      keepaliveInterval: tcp_option.keepalive_interval,
    },
    upstreamOption: {
      net: upstream.net,
      connectTimeout: upstream.connect_timeout,
      announce: upstream.announce,
      sprotoType: upstream.sproto_type,
      ...(resolv && { resolv }),
    },
    hosts: output.hosts.map(({ name, addr, weight }) => ({ name, addr, weight: weight > 0 ? weight : DEFAULT_WEIGHT })),
    shutdownTimeout: output.shutdown_timeout,
    log: output.log,
  };
}
