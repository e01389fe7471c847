import { parseArgs } from "node:util";

const USAGE =
  `Holds many sessions through the real proxy while everything around them goes wrong, and says whether a byte, a
session, memory or descriptors were lost.

Usage:
  deno task soak [options]

Options:
      --minutes N      how long; default 10
      --sessions N     how many at once; default 2000
      --seed N         the seed of all chance, to try a run again; default: a random one, which is printed
      --workers N      \`workers\` of the configuration; default: the key is left out
      --upgrades N     how often another process takes over, at the most, all along the run; default 0
  -h, --help

GOSCON_BIN=FILE soaks that executable in place of the source. Exit codes: 0; 1 when the verdict is FAILED; 2 for bad usage, or
when the system allows too few descriptors.
`;

/** What a run is to be. */
export interface Options {
  /** Milliseconds. */
  time: number;
  sessions: number;
  seed: number;
  workers: number | undefined;
  upgrades: number;
}

/** Reads the command line. `undefined`: help was asked for, and printed. Throws an `Error` of one sentence for bad usage. */
export function readOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string", default: "10" },
      sessions: { type: "string", default: "2000" },
      seed: { type: "string" },
      workers: { type: "string" },
      upgrades: { type: "string", default: "0" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void console.log(USAGE);
  const { minutes, sessions, seed, workers, upgrades } = values;
  return {
    time: numberOf("minutes", minutes, { least: 0.1, whole: false }) * 60_000,
    sessions: numberOf("sessions", sessions, { least: 2 }),
    seed: seed === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : numberOf("seed", seed, { least: 1 }),
    workers: workers === undefined ? undefined : numberOf("workers", workers, { least: 1 }),
    upgrades: numberOf("upgrades", upgrades, { least: 0 }),
  };
}

function numberOf(flag: string, text: string, { least, whole = true }: { least: number; whole?: boolean }): number {
  const value = Number(text);
  if (text !== "" && value >= least && value < 2 ** 32 && (!whole || Number.isInteger(value))) return value;
  throw new Error(`--${flag} ${text}: expected a ${whole ? "whole " : ""}number of at least ${least}`);
}
