import { parseAddress, parseSize, parseTime, SIZE_FORM, TIME_FORM } from "../../config/units.ts";
import type { SocketAddress } from "../../link/dial.ts";
import type { Endpoint } from "../../link/link.ts";
import type { FlakyOptions } from "./flaky.ts";
import type { UdpFlakyOptions } from "./udp/udp_flaky.ts";

/** The flags of `goscon flaky`, as `parseArgs` of node:util takes them. */
export const FLAKY_FLAGS = {
  listen: { type: "string" },
  connect: { type: "string" },
  "cut-every": { type: "string" },
  "cut-after-bytes": { type: "string" },
  rst: { type: "boolean" },
  stall: { type: "string" },
  latency: { type: "string" },
  rate: { type: "string" },
  udp: { type: "boolean" },
  loss: { type: "string" },
  duplicate: { type: "string" },
  reorder: { type: "string" },
  jitter: { type: "string" },
  seed: { type: "string" },
} as const;

/** The values of these flags. */
export type FlakyValues = {
  [K in keyof typeof FLAKY_FLAGS]?: (K extends "rst" | "udp" ? boolean : string) | undefined;
};

/** Those that tell how connections are cut, not when. */
const HOW = ["rst", "stall", "seed"] as const;
/** Those of TCP alone, and those of UDP alone, all of which leave something to chance. */
const TCP_ONLY = ["cut-every", "cut-after-bytes", "rst", "stall"] as const;
const UDP_ONLY = ["loss", "duplicate", "reorder", "jitter"] as const;

/** What a share of all is, for messages. */
const SHARE_FORM = "a share of 100%: 5% 0.5%";

/** For the usage of the program. */
export const FLAKY_USAGE = `Options of flaky, a relay that hurts on purpose, for tests of what is behind it:
      --listen ADDR           where clients connect (needed)
      --connect ADDR          where their connections are carried to (needed)
      --cut-every TIME        cut each after a random time, between the half and the whole of this
      --cut-after-bytes SIZE  cut each after random bytes, both ways together, between the half and the whole of these
      --rst                   cut by a reset, or, on other systems than Linux, by closing at once; needs one of these
                              cuts, as do --stall and, for TCP, --seed
      --stall TIME            before a cut, stay open and carry nothing for so long
      --latency TIME          delay all by so much, each way
      --rate SIZE             carry so many bytes a second, each way of each connection
      --udp                   carry UDP, not TCP: each way of each client, which is an address, by itself. Nothing is cut
                              then, and what would wait longer than 250ms for the rate is lost
      --loss SHARE            of UDP: lose so many of 100 datagrams, as 5%
      --duplicate SHARE       of UDP: send so many twice
      --reorder SHARE         of UDP: have so many overtaken by the next, if that comes within 50ms
      --jitter TIME           of UDP: delay each by up to so much more, by chance: they overtake each other
      --seed N                of all chance: the same cuts, or losses, again; printed at the start. With --udp it needs
                              --loss, --duplicate, --reorder or --jitter
`;

/** The options of a relay of TCP that these flags stand for. Throws an `Error` that says in one sentence what is wrong. */
export function flakyOptions(values: FlakyValues): FlakyOptions {
  const other = UDP_ONLY.find((flag) => values[flag] !== undefined);
  if (other) throw new Error(`--${other} does nothing without --udp`);
  const options = {
    listen: addressOf("listen", values.listen),
    connect: addressOf("connect", values.connect),
    cutEvery: quantity("cut-every", values["cut-every"], parseTime, TIME_FORM),
    cutAfterBytes: quantity("cut-after-bytes", values["cut-after-bytes"], parseSize, SIZE_FORM),
    rst: values.rst,
    stall: quantity("stall", values.stall, parseTime, TIME_FORM),
    ...lineOf(values),
  };
  if (options.cutEvery === undefined && options.cutAfterBytes === undefined) refuseHow(values);
  return options;
}

/** The options of a relay of UDP, as `flakyOptions` has those of one of TCP. */
export function udpFlakyOptions(values: FlakyValues): UdpFlakyOptions {
  const other = TCP_ONLY.find((flag) => values[flag] !== undefined);
  if (other) throw new Error(`--${other} is for TCP: it does nothing with --udp`);
  if (values.seed !== undefined && !UDP_ONLY.some((flag) => values[flag] !== undefined)) {
    throw new Error("--seed does nothing without --loss, --duplicate, --reorder or --jitter");
  }
  return {
    listen: endpointOf("listen", values.listen),
    connect: endpointOf("connect", values.connect),
    loss: quantity("loss", values.loss, shareOf, SHARE_FORM),
    duplicate: quantity("duplicate", values.duplicate, shareOf, SHARE_FORM),
    reorder: quantity("reorder", values.reorder, shareOf, SHARE_FORM),
    jitter: quantity("jitter", values.jitter, parseTime, TIME_FORM),
    ...lineOf(values),
  };
}

/** What both relays have. */
function lineOf(values: FlakyValues) {
  return {
    latency: quantity("latency", values.latency, parseTime, TIME_FORM),
    rate: quantity("rate", values.rate, parseSize, SIZE_FORM),
    seed: quantity("seed", values.seed, seedOf, "a whole number below 2^32"),
  };
}

/** Throws when there is a flag that tells how connections are cut, as none says when: it would do nothing. */
function refuseHow(values: FlakyValues): void {
  const idle = HOW.find((flag) => values[flag] !== undefined);
  if (idle) throw new Error(`--${idle} does nothing without --cut-every TIME or --cut-after-bytes SIZE`);
}

function addressOf(flag: string, value: string | undefined): SocketAddress {
  if (value === undefined) throw new Error(`flaky needs --${flag} ADDR`);
  const address = parseAddress(value);
  if (address.kind === "builtin") throw new Error(`--${flag} ${value}: it is not an address`);
  return address;
}

function endpointOf(flag: string, value: string | undefined): Endpoint {
  const address = addressOf(flag, value);
  if (address.kind === "tcp") return { hostname: address.hostname, port: address.port };
  throw new Error(`--${flag} ${value}: expected host:port, as UDP has it`);
}

/** All but a seed must be more than 0: without the flag there is none. */
function quantity(
  flag: string,
  value: string | undefined,
  parse: (value: string) => number | undefined,
  form: string,
): number | undefined {
  if (value === undefined) return undefined;
  const number = parse(value);
  if (number === undefined) throw new Error(`--${flag} ${value}: expected ${form}`);
  if (number === 0 && flag !== "seed") throw new Error(`--${flag} ${value}: expected more than 0`);
  return number;
}

function seedOf(value: string): number | undefined {
  return /^\d{1,10}$/.test(value) && Number(value) < 2 ** 32 ? Number(value) : undefined;
}

function shareOf(value: string): number | undefined {
  const [, digits] = /^(\d{1,3}(?:\.\d+)?)%$/.exec(value) ?? [];
  return digits === undefined || Number(digits) > 100 ? undefined : Number(digits) / 100;
}
