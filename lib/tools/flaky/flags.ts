import { parseAddress, parseSize, parseTime, SIZE_FORM, TIME_FORM } from "../../config/units.ts";
import type { SocketAddress } from "../../link/dial.ts";
import type { FlakyOptions } from "./flaky.ts";

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
  seed: { type: "string" },
} as const;

/** The values of these flags. */
export type FlakyValues = { [K in keyof typeof FLAKY_FLAGS]?: (K extends "rst" ? boolean : string) | undefined };

/** Those that tell how connections are cut, not when. */
const HOW = ["rst", "stall", "seed"] as const;

/** For the usage of the program. */
export const FLAKY_USAGE = `Options of flaky, a TCP relay that hurts on purpose, for tests of what is behind it:
      --listen ADDR           where clients connect (needed)
      --connect ADDR          where their connections are carried to (needed)
      --cut-every TIME        cut each after a random time, between the half and the whole of this
      --cut-after-bytes SIZE  cut each after random bytes, both ways together, between the half and the whole of these
      --rst                   cut by a reset, or, on other systems than Linux, by closing at once; needs one of these
                              cuts, as do --stall and --seed
      --stall TIME            before a cut, stay open and carry nothing for so long
      --latency TIME          delay all by so much, each way
      --rate SIZE             carry so many bytes a second, each way of each connection
      --seed N                of all chance: the same cuts again; printed at the start
`;

/** The options that these flags stand for. Throws an `Error` that says in one sentence what is wrong. */
export function flakyOptions(values: FlakyValues): FlakyOptions {
  const options = {
    listen: addressOf("listen", values.listen),
    connect: addressOf("connect", values.connect),
    cutEvery: quantity("cut-every", values["cut-every"], parseTime, TIME_FORM),
    cutAfterBytes: quantity("cut-after-bytes", values["cut-after-bytes"], parseSize, SIZE_FORM),
    rst: values.rst,
    stall: quantity("stall", values.stall, parseTime, TIME_FORM),
    latency: quantity("latency", values.latency, parseTime, TIME_FORM),
    rate: quantity("rate", values.rate, parseSize, SIZE_FORM),
    seed: quantity("seed", values.seed, seedOf, "a whole number below 2^32"),
  };
  if (options.cutEvery === undefined && options.cutAfterBytes === undefined) refuseHow(values);
  return options;
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
