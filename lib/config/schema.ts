import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { LOG_FORMATS, LOG_LEVELS } from "../log.ts";
import { clusterSchema } from "./cluster/schema.ts";
import { ENGINES } from "./engines.ts";
import { kcp, kcpEntries, kcpOption } from "./kcp/schema.ts";
import { parseNumber, parseSize, SIZE_FORM } from "./units.ts";
import {
  address,
  choice,
  cidrs,
  expected,
  flag,
  listenAddress,
  pattern,
  port,
  quantity,
  read,
  section,
  size,
  sizeOf,
  text,
  time,
  timeNotZero,
  whole,
} from "./values.ts";

const aName = expected("letters, digits and _");
const name = v.pipe(v.union([v.string(), v.number()], aName), v.transform(String), v.regex(/^[a-zA-Z_0-9]*$/, aName));

const aVersion = expected("1 or 2");
const versions = v.picklist([1, 2], aVersion);
const version = v.union([versions, v.pipe(v.string(), read(parseNumber, aVersion), versions)], aVersion);

const ORIGIN_FORM = "an origin, as https://game.example";

const origin = v.pipe(
  v.string(expected(ORIGIN_FORM)),
  v.check((value) => URL.canParse(value) && new URL(value).origin === value, expected(ORIGIN_FORM)),
);

/** A limit: 0, the default, is none. */
const count = v.optional(whole("a limit", 0, 2 ** 31 - 1), 0);

const keepAlive = (ackTimeout: number) => ({
  keepalive: v.nullish(flag, true),
  keepalive_interval: v.nullish(time, 60),
  keepalive_probes: v.optional(whole("a number of probes", 1, 127), 3),
  ack_timeout: v.optional(time, ackTimeout),
});

/** A configuration file: its keys, their defaults, and what they become. What goscon has may be without a value, as it may there. */
export const schema = v.strictObject({
  listen: v.optional(v.array(
    v.strictObject({
      tcp: v.optional(listenAddress),
      ws: v.optional(listenAddress),
      kcp: v.optional(listenAddress),
      ...kcpEntries,
      path: v.optional(v.pipe(text, v.regex(/^\/[^?#\s]*$/, expected("a path of a URL, from its /")))),
      origins: v.optional(v.array(origin, expected("a list of origins"))),
      ping_interval: v.optional(time),
      dialect: v.optional(choice(["goscon", "plain"]), "goscon"),
      accept_proxy: v.optional(flag, false),
      trusted: cidrs,
      tls: v.optional(v.strictObject({ cert: text, key: text }, expected("a map with cert and key"))),
      public: v.optional(text),
    }, expected("a map with tcp, ws or kcp")),
    expected("a list of listeners"),
  )),
  tcp: v.nullish(
    v.union([v.pipe(v.literal(""), v.transform(() => "none" as const)), listenAddress], expected("host:port")),
  ),
  manager: v.nullish(
    v.union([v.pipe(v.literal(""), v.transform(() => undefined)), listenAddress], expected("host:port")),
    "",
  ),
  manager_token: v.optional(text, ""),
  manager_allow: cidrs,
  kcp,
  kcp_option: kcpOption,
  scp: section({
    version: v.optional(version, 2),
    handshake_timeout: v.nullish(time, "30s"),
    reuse_time: v.nullish(time, "30s"),
    reuse_buffer: v.nullish(size, "256KiB"),
    in_flight: v.optional(choice(["bounded", "unbounded"]), "bounded"),
    v2: section({
      reuse_time: v.optional(time, "5m"),
      window: v.optional(sizeOf(2 ** 12, 2 ** 24), "256KiB"),
      cache: v.optional(sizeOf(2 ** 16), "1MiB"),
      ping_interval: v.optional(time, "15s"),
      ping_timeout: v.optional(timeNotZero, "10s"),
      half_open_timeout: v.optional(time, 0),
    }),
  }),
  tcp_option: section({
    read_timeout: v.nullish(time, 0),
    backlog: v.optional(whole("a number of connections", 1, 65535), 4096),
    ...keepAlive(60),
  }),
  upstream_option: section({
    net: v.nullish(choice(["tcp", "scp"]), "tcp"),
    balance: v.optional(choice(["random", "least_conn", "round_robin", "source"]), "random"),
    check: v.optional(v.strictObject({
      interval: v.optional(timeNotZero, "2s"),
      timeout: v.optional(timeNotZero, "2s"),
      rise: v.optional(whole("a number of checks", 1, 1000), 2),
      fall: v.optional(whole("a number of checks", 1, 1000), 3),
    }, expected("a map with interval, timeout, rise and fall"))),
    connect_timeout: v.optional(timeNotZero, "5s"),
    announce: v.optional(choice(["none", "sproto", "proxy_v1", "proxy_v2"]), "none"),
    sproto_type: v.optional(whole("a message type", 0, 2 ** 31 - 1), 0),
    ignore_flag: v.optional(flag, false),
    ...keepAlive(0),
    resolv: v.nullish(v.strictObject({
      prefix: v.nullish(text, ""),
      suffix: v.nullish(text, ""),
      port,
      pattern: v.nullish(pattern, ""),
    }, expected("a map with prefix, suffix, port and pattern"))),
  }),
  hosts: v.nullish(
    v.array(
      v.strictObject({
        name: v.nullish(name, ""),
        addr: address("127.0.0.1"),
        weight: v.nullish(whole("a weight", -(2 ** 31), 2 ** 31 - 1), 0),
        weigh: v.optional(v.unknown()),
        backup: v.optional(flag, false),
        drain: v.optional(flag, false),
        max_sessions: v.optional(whole("a number of sessions", 0, 2 ** 31 - 1), 0),
      }, expected("a map with addr")),
      expected("a list of hosts"),
    ),
    [],
  ),
  limits: section({
    sessions: count,
    sessions_per_ip: count,
    new_per_second_per_ip: count,
    handshakes: count,
    resume_failures_per_ip: count,
    cache_bytes: v.optional(
      v.union([v.literal("auto"), quantity(SIZE_FORM, parseSize, 0)], expected(`auto, or ${SIZE_FORM}`)),
      "auto",
    ),
  }),
  cluster: v.optional(clusterSchema),
  io: v.optional(choice(ENGINES), "auto"),
  workers: v.optional(
    v.union([v.literal("auto"), whole("", 1, 64)], expected("auto, or a number of threads, 1 to 64")),
    "auto",
  ),
  allow: cidrs,
  deny: cidrs,
  drain_timeout: v.optional(time, "60s"),
  shutdown_timeout: v.optional(time, "5s"),
  upgrade_timeout: v.optional(timeNotZero, "30s"),
  log: section({
    level: v.optional(choice(LOG_LEVELS), "info"),
    format: v.optional(choice(LOG_FORMATS), "text"),
  }),
}, expected("a map of keys"));

/** The JSON schema of a configuration file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  return { ...toJsonSchema(schema, { typeMode: "input", errorMode: "ignore" }), title: "goscon configuration" };
}
