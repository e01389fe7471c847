import { toJsonSchema } from "@valibot/to-json-schema";
import { isIP } from "node:net";
import * as v from "valibot";
import { LOG_FORMATS, LOG_LEVELS } from "../log.ts";
import { ENGINES } from "./engines.ts";
import { faultOfPattern } from "./pattern.ts";
import {
  ADDRESS_FORM,
  FLAG_FORM,
  LONGEST_TIME,
  parseAddress,
  parseFlag,
  parseNumber,
  parseSize,
  parseTime,
  SIZE_FORM,
  TIME_FORM,
} from "./units.ts";

// A file gives each scalar as a text, and what is wanted says what it means. The numbers and booleans of this schema are for
// editors, which know the types of YAML.

/** What a value is, in words of YAML. */
function nameOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  return typeof value === "string" && parseNumber(value) === undefined ? JSON.stringify(value) : String(value);
}

const expected = (what: string) => ({ input }: { input: unknown }) => `expected ${what}, not ${nameOf(input)}`;

/** A text or a number that `parse` makes a value of, of at least `least`, 0 or 1; `form` says what it takes. */
function quantity(form: string, parse: (value: string | number) => number | undefined, least: 0 | 1) {
  return v.pipe(
    v.union([v.number(), v.string()], expected(form)),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value);
      if (value !== undefined && value >= least) return value;
      const limit = value === undefined ? "" : ", more than 0";
      addIssue({ message: `expected ${form}${limit}, not ${nameOf(dataset.value)}` });
      return NEVER;
    }),
  );
}

const bounded = (least: 0 | 1) =>
  v.pipe(quantity(TIME_FORM, parseTime, least), v.maxValue(LONGEST_TIME, "expected at most 24 days: 576h"));
const time = bounded(0);
const timeNotZero = bounded(1);
const size = v.pipe(quantity(SIZE_FORM, parseSize, 1), v.maxValue(2 ** 30, "expected at most 1GiB"));

function whole(what: string, least: number, most: number) {
  const form = expected(`${what}, a whole number of ${least} to ${most}`);
  const limits = v.pipe(v.number(form), v.integer(form), v.minValue(least, form), v.maxValue(most, form));
  return v.union([limits, v.pipe(v.string(), read(parseNumber, form), limits)], form);
}

/** What `parse` makes of a text, which is none when it makes nothing. */
function read<T>(parse: (text: string) => T | undefined, form: (issue: { input: unknown }) => string) {
  return v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
    const value = parse(dataset.value);
    if (value !== undefined) return value;
    addIssue({ message: form({ input: dataset.value }) });
    return NEVER;
  });
}

const text = v.string(expected("a text"));
const aFlag = expected(FLAG_FORM);
const flag = v.union([v.boolean(), v.pipe(v.string(), read(parseFlag, aFlag))], aFlag);
const aName = expected("letters, digits and _");
const name = v.pipe(v.union([v.string(), v.number()], aName), v.transform(String), v.regex(/^[a-zA-Z_0-9]*$/, aName));

/** An address; where an empty host means `anyHost`. */
function address(anyHost: string) {
  return v.pipe(
    v.string(expected(ADDRESS_FORM)),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return parseAddress(dataset.value, anyHost);
      } catch (error) {
        addIssue({ message: (error as Error).message });
        return NEVER;
      }
    }),
  );
}

const listenAddress = v.pipe(
  address("0.0.0.0"),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    if (dataset.value.kind === "tcp") return dataset.value;
    addIssue({ message: "expected host:port or [IPv6]:port, to listen on" });
    return NEVER;
  }),
);

const choice = <const T extends readonly string[]>(options: T) =>
  v.picklist(options, expected(`one of ${options.join(", ")}`));

const port = v.pipe(
  v.union([v.number(), v.string()], expected("a port")),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const value = parseNumber(String(dataset.value));
    if (Number.isInteger(value) && value !== undefined && value >= 1 && value <= 65535) return value;
    addIssue({ message: `expected a port, 1 to 65535, not ${nameOf(dataset.value)}` });
    return NEVER;
  }),
);

const pattern = v.pipe(
  text,
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? faultOfPattern(dataset.value) : undefined;
    if (fault) addIssue({ message: `expected a regular expression, as Go has them: ${fault}` });
  }),
);

const CIDR_FORM = "an IP address, or a network as 10.0.0.0/8";

const cidr = v.pipe(
  v.string(expected(CIDR_FORM)),
  v.check((value) => {
    const [, address, bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
    const family = isIP(address ?? "");
    return family !== 0 && Number(bits ?? 0) <= (family === 4 ? 32 : 128);
  }, expected(CIDR_FORM)),
);

const cidrs = v.optional(v.array(cidr, expected("a list of IP addresses and networks")), []);

const ORIGIN_FORM = "an origin, as https://game.example";

const origin = v.pipe(
  v.string(expected(ORIGIN_FORM)),
  v.check((value) => URL.canParse(value) && new URL(value).origin === value, expected(ORIGIN_FORM)),
);

/** A map in which every key may be missing, or without a value: then each has its default. */
function section<T extends v.ObjectEntries>(entries: T) {
  return v.nullish(v.strictObject(entries, expected("a map")), {} as never);
}

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
      path: v.optional(v.pipe(text, v.regex(/^\/[^?#\s]*$/, expected("a path of a URL, from its /")))),
      origins: v.optional(v.array(origin, expected("a list of origins"))),
      ping_interval: v.optional(time),
      dialect: v.optional(choice(["goscon", "plain"]), "goscon"),
      accept_proxy: v.optional(flag, false),
      trusted: cidrs,
      tls: v.optional(v.strictObject({ cert: text, key: text }, expected("a map with cert and key"))),
    }, expected("a map with tcp or ws")),
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
  kcp: v.nullish(text, ""),
  kcp_option: v.nullish(v.looseObject({}, expected("a map"))),
  scp: section({
    handshake_timeout: v.nullish(time, "30s"),
    reuse_time: v.nullish(time, "30s"),
    reuse_buffer: v.nullish(size, "256KiB"),
    in_flight: v.optional(choice(["bounded", "unbounded"]), "bounded"),
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
  io: v.optional(choice(ENGINES), "auto"),
  workers: v.optional(
    v.union([v.literal("auto"), whole("", 1, 64)], expected("auto, or a number of threads, 1 to 64")),
    "auto",
  ),
  allow: cidrs,
  deny: cidrs,
  drain_timeout: v.optional(time, "60s"),
  shutdown_timeout: v.optional(time, "5s"),
  log: section({
    level: v.optional(choice(LOG_LEVELS), "info"),
    format: v.optional(choice(LOG_FORMATS), "text"),
  }),
}, expected("a map of keys"));

/** The JSON schema of a configuration file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  return { ...toJsonSchema(schema, { typeMode: "input", errorMode: "ignore" }), title: "goscon configuration" };
}
