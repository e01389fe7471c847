import type { Dialect } from "../../lib/scp/mod.ts";
import type { Transport } from "./transports.ts";

/** Of every session of version 1: what the proxy keeps to be sent again. */
export const REUSE_BUFFER = 128 * 1024;
/** The longest of both variants, and of both versions of the protocol, in milliseconds. */
export const REUSE_TIME = 60_000;
/** The backends' names, as targets of clients. */
export const TARGETS = ["one", "two"];

/** Where clients come in, by how they come and what they speak: `host:port` each. */
export type Doors = Record<Transport, Record<Dialect, string>>;

/** Where the proxy of a run listens, and what it forwards to: `host:port` each. */
export interface Addresses {
  doors: Doors;
  /** By TCP, of dialect goscon, in the second variant only. */
  extra: string;
  manager: string;
  backends: string[];
}

/** The two configurations, as YAML, between which a run changes. */
export const VARIANTS = ["first", "second"] as const;
export type Variant = (typeof VARIANTS)[number];

/** What a configuration says beside addresses. */
export interface ConfigOptions {
  /** Left out when it is not given. */
  workers: number | undefined;
  /** The files of the proxy's certificate and its key. */
  tls: { cert: string; key: string };
}

/** The text of a configuration file. */
export function configText(variant: Variant, addresses: Addresses, { workers, tls }: ConfigOptions): string {
  const isFirst = variant === "first";
  const listen = [
    ...(["goscon", "plain"] as const).flatMap((dialect) => [
      { tcp: addresses.doors.tcp[dialect], dialect },
      { tcp: addresses.doors.tls[dialect], tls, dialect },
      { ws: addresses.doors.ws[dialect], dialect },
      { kcp: addresses.doors.kcp[dialect], dialect },
    ]),
    ...(isFirst ? [] : [{ tcp: addresses.extra, dialect: "goscon" }]),
  ];
  const hosts = addresses.backends.map((addr, i) => ({
    name: TARGETS[i % TARGETS.length],
    addr,
    weight: isFirst ? 100 : 30 + 100 * i,
  }));
  const reuseTime = isFirst ? "60s" : "50s";
  const config = {
    listen,
    manager: addresses.manager,
    hosts,
    ...(workers !== undefined && { workers }),
    // All else of version 2 is as by default.
    scp: { reuse_time: reuseTime, reuse_buffer: REUSE_BUFFER, v2: { reuse_time: reuseTime } },
    // Why it was that a session ended is told there only.
    log: { level: isFirst ? "info" : "debug" },
  };
  return JSON.stringify(config, null, 2); // which is YAML
}
