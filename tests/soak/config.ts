/** Of every session of version 1: what the proxy keeps to be sent again. */
export const REUSE_BUFFER = 128 * 1024;
/** The longest of both variants, and of both versions of the protocol, in milliseconds. */
export const REUSE_TIME = 60_000;
/** The backends' names, as targets of clients. */
export const TARGETS = ["one", "two"];

/** Where the proxy of a run listens, and what it forwards to: `host:port` each. */
export interface Addresses {
  goscon: string;
  plain: string;
  /** Of dialect goscon, in the second variant only. */
  extra: string;
  manager: string;
  backends: string[];
}

/** The two configurations, as YAML, between which a run changes. */
export const VARIANTS = ["first", "second"] as const;
export type Variant = (typeof VARIANTS)[number];

/** The text of a configuration file. `workers`: left out when it is not given. */
export function configText(variant: Variant, addresses: Addresses, workers: number | undefined): string {
  const isFirst = variant === "first";
  const listen = [
    { tcp: addresses.goscon, dialect: "goscon" },
    { tcp: addresses.plain, dialect: "plain" },
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
    log: { level: isFirst ? "warning" : "error" },
  };
  return JSON.stringify(config, null, 2); // which is YAML
}
