import { parseArgs } from "node:util";
import { ConfigFileError, findConfig, readPair } from "./lib/admin/config_file.ts";
import { requestReload } from "./lib/admin/reload_command.ts";
import { serve } from "./lib/admin/serve.ts";
import { keepHangupIgnored, onSignals } from "./lib/admin/signals.ts";
import { SILENCE } from "./lib/client/connection_options.ts";
import { DEFAULT_LINGER, startBridge } from "./lib/tools/bridge/bridge.ts";
import { check } from "./lib/tools/check/check.ts";
import { startFlaky } from "./lib/tools/flaky/flaky.ts";
import { FLAKY_FLAGS, FLAKY_USAGE, flakyOptions } from "./lib/tools/flaky/flags.ts";
import { terminal } from "./lib/tools/connect/terminal.ts";
import { startDemo } from "./lib/tools/demo/demo.ts";
import {
  ConfigError,
  DIALECTS,
  formatAddress,
  formatConfig,
  parseAddress,
  parseConfig,
  readConfig,
} from "./lib/config.ts";
import { raiseDescriptorLimit } from "./lib/link/descriptor_limit.ts";
import { systemLookup } from "./lib/link/dial.ts";
import { LONGEST_TIME, parseTime, TIME_FORM } from "./lib/config/units.ts";
import { flushLog, LOG_FORMATS, LOG_LEVELS, openLog, writeLine } from "./lib/log.ts";
import deno from "./deno.json" with { type: "json" };

/** How this program is called: for the usage, and for hints. */
const COMMAND = Deno.build.standalone ? "goscon" : "deno task start";

const USAGE = `goscon ${deno.version}: a TCP proxy whose clients can lose their connection and go on.

Usage:
  ${COMMAND} [options]                     run the proxy
  ${COMMAND} connect ADDR [options]        join a session to standard input and output; ADDR: host:port, or a
                                            URL: tcp://host:port ws://… wss://… unix:/path
  ${COMMAND} bridge --listen ADDR --connect ADDR [options]
                                            carry the TCP connections of any program as sessions
  ${COMMAND} flaky --listen ADDR --connect ADDR [options]
                                            a relay that hurts on purpose, for tests
  ${COMMAND} demo [--listen ADDR]          a page that shows a session survive; default: 127.0.0.1:8080
  ${COMMAND} reload [-c FILE] [--pid PID]  have the running process reload the file, and say what it refuses
  ${COMMAND} check ADDR [options]          try the rules of the protocol on a server whose backend is an echo

Options of the proxy:
  -c, --config FILE        default: config.yaml here, or beside the binary, or the one built in
  -t, --test               check the configuration, say what is wrong, and exit
  -T, --dump               print the configuration in effect, with every default, and exit
      --log-level LEVEL    ${LOG_LEVELS.join(", ")}
      --log-format FORMAT  ${LOG_FORMATS.join(", ")}

Options of connect, check and bridge:
      --target NAME        the backend to prefer; not of check
      --dialect DIALECT    goscon (default) or plain
      --linger TIME        after the end of what is sent, for how long nothing must come until the session is ended;
                           default 5m. Not of check
      --silence TIME       a link over which something was sent, and nothing has come since for so long, is taken for
                           dead, and replaced; default 10s, 0: never. Not of check
      --server-forgets     the server forgets a session as soon as it ends, as the Go program does. Not of check

${FLAKY_USAGE}
  -h, --help
      --version

Exit codes: 0; 1 for a failure at run time; 2 for bad usage or a bad configuration.
`;

const COMMON = { help: { type: "boolean", short: "h" }, version: { type: "boolean" } } as const;
const SERVE = {
  ...COMMON,
  config: { type: "string", short: "c" },
  test: { type: "boolean", short: "t" },
  dump: { type: "boolean", short: "T" },
  "log-level": { type: "string" },
  "log-format": { type: "string" },
} as const;
const RELOAD = { ...COMMON, config: { type: "string", short: "c" }, pid: { type: "string" } } as const;
const CHECK = { ...COMMON, dialect: { type: "string" } } as const;
const DEMO = { ...COMMON, listen: { type: "string", default: "127.0.0.1:8080" } } as const;
const FLAKY = { ...COMMON, ...FLAKY_FLAGS } as const;
const CONNECT = {
  ...CHECK,
  target: { type: "string" },
  linger: { type: "string" },
  silence: { type: "string" },
  "server-forgets": { type: "boolean" },
} as const;
const BRIDGE = {
  ...CONNECT,
  listen: { type: "string" },
  connect: { type: "string" },
  "log-level": { type: "string" },
  "log-format": { type: "string" },
} as const;

class UsageError extends Error {}

function say(text: string): void {
  writeLine(`goscon: ${text}`);
}

/** The value of a flag, which must be one of `choices`; `undefined` when it was not given. */
function choice<T extends string>(flag: string, value: string | undefined, choices: readonly T[]): T | undefined {
  const found = choices.find((c) => c === value);
  if (value === undefined || found) return found;
  throw new UsageError(`--${flag} ${value}: expected one of ${choices.join(", ")}`);
}

/** Whether `--help` or `--version` was asked for, and answered. */
function answered({ help, version }: { help?: boolean | undefined; version?: boolean | undefined }): boolean {
  if (help) console.log(USAGE);
  else if (version) console.log(`goscon ${deno.version} (deno ${Deno.version.deno}, ${Deno.build.target})`);
  return Boolean(help || version);
}

async function runServe(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: SERVE });
  if (answered(values)) return;
  const level = choice("log-level", values["log-level"], LOG_LEVELS);
  const format = choice("log-format", values["log-format"], LOG_FORMATS);
  const { file, read: readText } = findConfig(values.config);
  const read = async () => {
    const { config, warnings } = await readConfig(readText(), file, { loadPair: readPair, lookup: systemLookup });
    const log = { level: level ?? config.log.level, format: format ?? config.log.format };
    return { config: { ...config, log }, warnings };
  };
  const { config, warnings } = await read();
  if (values.dump) console.log(formatConfig(config));
  if (values.test || values.dump) {
    for (const warning of warnings) say(`warning: ${warning}`);
    if (values.test) say(`the configuration ${file} is valid`);
    return;
  }
  const log = openLog(config.log);
  log.info("goscon starting", { version: deno.version, config: file });
  for (const warning of warnings) log.warning(warning);
  raiseDescriptorLimit(log);
  await serve(config, { log, command: COMMAND, read: async () => (await read()).config });
}

/** The one address that a command is for. */
function onlyAddress(command: string, [addr, ...more]: string[]): string {
  if (addr === undefined || more.length > 0) throw new UsageError(`${command} takes one address, host:port`);
  return addr;
}

async function runCheck(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: CHECK, allowPositionals: true });
  if (answered(values)) return;
  const addr = onlyAddress("check", positionals);
  const dialect = choice("dialect", values.dialect, DIALECTS) ?? "goscon";
  const all = await check(addr, dialect, ({ section, rule, reason }) => {
    console.log(`${reason === undefined ? "ok  " : "FAIL"}  ${rule} (${section})${reason ? `\n      ${reason}` : ""}`);
  });
  if (!all) throw new Error(`${addr} does not keep every rule`);
}

async function runBridge(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: BRIDGE });
  if (answered(values)) return;
  const { listen, connect, target } = values;
  if (listen === undefined || connect === undefined) {
    throw new UsageError("bridge takes --listen ADDR and --connect ADDR");
  }
  const address = listenAddress(listen);
  const dialect = choice("dialect", values.dialect, DIALECTS) ?? "goscon";
  const log = openLog({
    level: choice("log-level", values["log-level"], LOG_LEVELS) ?? "info",
    format: choice("log-format", values["log-format"], LOG_FORMATS) ?? "text",
  });
  raiseDescriptorLimit(log);
  const ended = untilSignal();
  const more = { ...timesOf(values), serverForgets: values["server-forgets"] ?? false };
  const bridge = startBridge({ listen: address, connect, dialect, target: target ?? "", log, ...more });
  await ended;
  await bridge.stop();
}

/** The milliseconds of `--linger` and of `--silence`. */
function timesOf(values: { linger?: string; silence?: string }): { linger: number; silence: number } {
  const time = (flag: keyof typeof values, otherwise: number): number => {
    const text = values[flag];
    const time = text === undefined ? otherwise : parseTime(text);
    if (time !== undefined && time <= LONGEST_TIME) return time;
    throw new UsageError(`--${flag} ${text}: expected ${TIME_FORM}, at most 576h`);
  };
  return { linger: time("linger", DEFAULT_LINGER), silence: time("silence", SILENCE) };
}

/** The value of `--listen`. */
function listenAddress(listen: string): { hostname: string; port: number } {
  const address = orUsage(() => parseAddress(listen));
  if (address.kind === "tcp") return address;
  throw new UsageError(`--listen ${listen}: expected host:port, to listen on`);
}

async function runDemo(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: DEMO });
  if (answered(values)) return;
  const ended = untilSignal();
  const demo = startDemo({
    listen: listenAddress(values.listen),
    log: openLog({ level: "warning", format: "text" }),
  });
  say(`open http://${formatAddress({ kind: "tcp", ...demo.address })}/ in a browser`);
  await ended;
  await demo.stop();
}

/** Settles at the first signal to end from now on: before the command says that it is there, as who waits for that may end it. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => onSignals({ onEnd: () => resolve() }));
}

async function runFlaky(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: FLAKY });
  if (answered(values)) return;
  const ended = untilSignal();
  const flaky = startFlaky({ ...orUsage(() => flakyOptions(values)), tell: say });
  await ended;
  await flaky.stop();
}

/** What `read` gives; what it throws is a fault of the command line. */
function orUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** The URL of an address. */
function urlOf(addr: string): string {
  const address = parseAddress(addr);
  if (address.kind === "builtin") throw new Error(`Cannot connect to ${addr}: it is not an address`);
  if (address.kind === "tcp") return `tcp://${formatAddress(address)}`;
  return `unix:${encodeURI(address.path).replace(/[?#]/g, encodeURIComponent)}`;
}

async function runConnect(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: CONNECT, allowPositionals: true });
  if (answered(values)) return;
  const addr = onlyAddress("connect", positionals);
  const dialect = choice("dialect", values.dialect, DIALECTS) ?? "goscon";
  const { readable: input } = Deno.stdin;
  const url = addr.includes("://") ? addr : orUsage(() => urlOf(addr));
  const { linger, silence } = timesOf(values);
  const options = { dialect, target: values.target ?? "", serverForgets: values["server-forgets"] ?? false, silence };
  keepHangupIgnored();
  await terminal(url, options, { input, output: Deno.stdout.writable, tell: say, linger });
}

/** The exit code of what went wrong, which is told in one sentence. */
function fail(error: unknown): number {
  if (error instanceof ConfigError) {
    for (const fault of error.faults) writeLine(fault);
    return 2;
  }
  const message = error instanceof Error ? error.message : String(error);
  const usage = error instanceof UsageError ||
    String((error as { code?: unknown } | null)?.code).startsWith("ERR_PARSE_ARGS");
  say(usage ? `${message} (see --help)` : message);
  return usage || error instanceof ConfigFileError ? 2 : 1;
}

/** With a manager it is by that, and done when this ends; else by a signal. */
async function runReload(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: RELOAD });
  if (answered(values)) return;
  const pid = values.pid ?? Deno.env.get("MAINPID");
  if (pid !== undefined && !/^[1-9]\d*$/.test(pid)) {
    throw new UsageError(`--pid ${pid}: expected the number of a process`);
  }
  const { file, read } = findConfig(values.config);
  const { config } = parseConfig(read(), file, readPair);
  await requestReload(config, pid === undefined ? undefined : Number(pid));
}

const COMMANDS: Record<string, (args: string[]) => Promise<void>> = {
  connect: runConnect,
  check: runCheck,
  bridge: runBridge,
  demo: runDemo,
  flaky: runFlaky,
  reload: runReload,
};

async function main(args: string[]): Promise<number> {
  try {
    const [first = "", ...rest] = args;
    const run = COMMANDS[first];
    await (run ? run(rest) : runServe(args));
    return 0;
  } catch (error) {
    return fail(error);
  } finally {
    await flushLog();
  }
}

Deno.exit(await main(Deno.args));
