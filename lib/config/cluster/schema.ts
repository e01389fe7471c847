import * as v from "valibot";
import { isWildcard } from "../addresses/bound.ts";
import { parseNumber } from "../units.ts";
import {
  address,
  choice,
  expected,
  listenAddress,
  pattern,
  port,
  read,
  text,
  time,
  timeNotZero,
  whole,
} from "../values.ts";

const NAME_FORM = "1 to 64 letters, digits, '.', '_' and '-'";
const SECRET_FORM = "expected a text of at least 16 characters";
const REDIS_FORM = "expected redis://HOST, or rediss://HOST for TLS";

/** At most this many; ids have room for less than both: see `MOST_THREADS`. */
const MOST_SLOTS = 4096;
const MOST_THREADS_OF_NODE = 64;

const given = (what: string) => v.pipe(text, v.nonEmpty(expected(what)));

function powerOfTwo(most: number) {
  const form = expected(`a power of two, 1 to ${most}`);
  const isPower = (value: number) => Number.isInteger(Math.log2(value)) && value >= 1 && value <= most;
  const power = v.pipe(v.number(form), v.check(isPower, form));
  return v.union([power, v.pipe(v.string(), read(parseNumber, form), power)], form);
}

/** One that others can connect to. */
const peerAddress = v.pipe(
  address(""),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const { value } = dataset;
    if (value.kind === "tcp" && value.hostname !== "" && !isWildcard(value.hostname) && value.port > 0) return value;
    addIssue({ message: "expected host:port or [IPv6]:port, to which other nodes can connect" });
    return NEVER;
  }),
);

const slot = whole("a slot", 0, MOST_SLOTS - 1);

/** What is wrong with these two, and around them, is told without them: who reads that need not know what is secret. */
const secret = v.pipe(v.string(SECRET_FORM), v.minLength(16, SECRET_FORM));
const redisUrl = v.pipe(
  v.string(REDIS_FORM),
  v.check((value) => {
    const { protocol = "", hostname = "" } = URL.parse(value) ?? {};
    return /^rediss?:$/.test(protocol) && hostname !== "";
  }, REDIS_FORM),
);

/** The section `cluster` of a configuration file. */
export const clusterSchema = v.strictObject({
  name: v.pipe(text, v.regex(/^[\w.-]{1,64}$/, expected(NAME_FORM))),
  role: v.optional(choice(["node", "edge"]), "node"),
  slots: v.optional(powerOfTwo(MOST_SLOTS), 64),
  threads: v.optional(powerOfTwo(MOST_THREADS_OF_NODE), 16),
  discovery: v.optional(choice(["static", "dns", "redis"]), "static"),
  slot: v.optional(slot),
  nodes: v.optional(
    v.array(
      v.strictObject({ slot, addr: peerAddress }, expected("a map with slot and addr")),
      expected("a list of nodes"),
    ),
    [],
  ),
  dns: v.optional(
    v.strictObject(
      { service: v.pipe(text, v.regex(/^[\w.-]+$/, expected("a name of the DNS"))), port },
      expected("a map with service and port"),
    ),
  ),
  redis: v.optional(v.strictObject({
    url: redisUrl,
    prefix: v.optional(text, "goscon:"),
    lease: v.optional(timeNotZero, "15s"),
  }, "expected a map with url, prefix and lease")),
  listen: listenAddress,
  advertise: v.optional(peerAddress),
  serves: v.optional(v.array(pattern, expected("a list of regular expressions")), []),
  weight: v.optional(whole("a weight", 1, 2 ** 31 - 1), 100),
  tls: v.optional(v.strictObject({
    ca: text,
    cert: text,
    key: text,
    name: v.optional(given("a name that certificates are for"), "goscon-cluster"),
  }, expected("a map with ca, cert, key and name"))),
  secrets: v.optional(v.array(secret, "expected a list of secrets"), []),
  state_dir: v.optional(given("a directory")),
  drain_delay: v.optional(time, "5s"),
  drain_rate: v.optional(whole("a number of clients a second", 1, 2 ** 31 - 1), 100),
}, expected("a map with name, listen and more"));

export type ClusterSection = v.InferOutput<typeof clusterSchema>;
