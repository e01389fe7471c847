import { parseArgs } from "node:util";
import { ConfigFileError, findConfig, readCa, readCertificate, readPair } from "./lib/admin/config_file.ts";
import { requestReload } from "./lib/admin/reload_command.ts";
import { requestUpgrade } from "./lib/admin/upgrade_command.ts";
import { Inheritance } from "./lib/admin/upgrade/inheritance.ts";
import { ownInvocation } from "./lib/admin/upgrade/invocation.ts";
import { serve, type ServeOptions } from "./lib/admin/serve.ts";
import { onSignals } from "./lib/admin/signals.ts";
import { SILENCE } from "./lib/client/connection_options.ts";
import { DEFAULT_LINGER, startBridge } from "./lib/tools/bridge/bridge.ts";
import { check } from "./lib/tools/check/check.ts";
import { startFlaky } from "./lib/tools/flaky/flaky.ts";
import { FLAKY_FLAGS, FLAKY_USAGE, flakyOptions, udpFlakyOptions } from "./lib/tools/flaky/flags.ts";
import { startUdpFlaky } from "./lib/tools/flaky/udp/udp_flaky.ts";
import { terminal } from "./lib/tools/connect/terminal.ts";
import { urlOf } from "./lib/tools/proxy_address.ts";
import { startDemo } from "./lib/tools/demo/demo.ts";
import {
  type Config,
  ConfigError,
  DIALECTS,
  formatAddress,
  formatConfig,
  idsOfThread,
  parseAddress,
  parseConfig,
  readConfig,
} from "./lib/config.ts";
import { raiseDescriptorLimit } from "./lib/link/descriptor_limit.ts";
import { systemLookup } from "./lib/link/dial.ts";
import type { KcpConnectOptions } from "./lib/client/kcp_dialers.ts";
import { MOST_SHARDS } from "./lib/link/kcp/fec/reed_solomon.ts";
import { checkCa, type TlsOptions } from "./lib/link/trust.ts";
import { LONGEST_TIME, parseTime, TIME_FORM } from "./lib/config/units.ts";
import { flushLog, LOG_FORMATS, LOG_LEVELS, openLog, writeLine } from "./lib/log.ts";
import deno from "./deno.json" with { type: "json" };

/** How this program is called: for the usage, and for hints. */
const COMMAND = Deno.build.standalone ? "goscon" : "deno task start";

const USAGE = `goscon ${deno.version}: a TCP proxy whose clients can lose their connection and go on.

Usage:
  ${COMMAND} [options]                     run the proxy
  ${COMMAND} connect ADDR [options]        join a session to standard input and output; ADDR: host:port, or a
                                            URL: tcp://host:port tls://host:port kcp://host:port ws://… wss://…
                                            unix:/path
  ${COMMAND} bridge --listen ADDR --connect ADDR [options]
                                            carry the TCP connections of any program as sessions
  ${COMMAND} flaky --listen ADDR --connect ADDR [options]
                                            a relay of TCP or UDP that hurts on purpose, for tests
  ${COMMAND} demo [--listen ADDR]          a page that shows a session survive; default: 127.0.0.1:8080
  ${COMMAND} reload [-c FILE] [--pid PID]  have the running process reload the file, and say what it refuses
  ${COMMAND} upgrade [-c FILE] [--pid PID] have a new process take over from the running one: the executable as it is
                                            now, with the same arguments
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
      --ca FILE            PEM certificates that are trusted too, for tls://host:port, which all three take
      --servername NAME    whom the certificate must be for there; default: the host
      --fec DATA,PARITY    for kcp://host:port, which all three take: the server's fec, as in 10,3; default: none
      --protocol VERSION   1 or 2; default: 2 where the server speaks it, else 1. Of check: whose rules are tried;
                           default: those of 1, and of 2 where the server speaks it
      --linger TIME        version 1, which cannot end one direction: after the end of what is sent, for how long nothing
                           must come until the session is ended; default 5m. Not of check
      --silence TIME       version 1: a link over which something was sent, and nothing has come since for so long, is
                           taken for dead, and replaced; over kcp:// in both versions, when the server does not answer
                           for so long; default 10s, 0: never. Not of check
      --server-forgets     the server forgets a session as soon as it ends, as the Go program does. Not of check

${FLAKY_USAGE}
  -h, --help
      --version

Exit codes: 0; 1 for a failure at run time; 2 for bad usage or a bad configuration; of connect after a signal, 128 and
its number.
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
/** Of who asks a running process for something. */
const ASK = { ...COMMON, config: { type: "string", short: "c" }, pid: { type: "string" } } as const;
/** How a proxy is reached. */
const REACH = {
  ...COMMON,
  dialect: { type: "string" },
  ca: { type: "string" },
  servername: { type: "string" },
  fec: { type: "string" },
  protocol: { type: "string" },
} as const;
const DEMO = { ...COMMON, listen: { type: "string", default: "127.0.0.1:8080" } } as const;
const FLAKY = { ...COMMON, ...FLAKY_FLAGS } as const;
const CONNECT = {
  ...REACH,
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

/** A signal has ended what was going on. */
class Interruption extends Error {
  readonly signal: Deno.Signal;

  constructor(signal: Deno.Signal) {
    super(signal);
    this.signal = signal;
  }
}

/** Exit codes after a signal, as a shell has them. */
const SIGNAL_CODES: Partial<Record<Deno.Signal, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

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
  const invocation = ownInvocation();
  const inheritance = await Inheritance.open(deno.version);
  try {
    await runProxy(values, { invocation, inheritance });
  } catch (error) {
    await inheritance?.refuse(error instanceof ConfigError ? error.faults : [messageOf(error)]);
    throw error;
  }
}

async function runProxy(
  values: ReturnType<typeof parseArgs<{ options: typeof SERVE }>>["values"],
  origin: Pick<ServeOptions, "invocation" | "inheritance">,
): Promise<void> {
  const level = choice("log-level", values["log-level"], LOG_LEVELS);
  const format = choice("log-format", values["log-format"], LOG_FORMATS);
  const { file, read: readText } = findConfig(values.config);
  const read = async () => {
    const files = { loadPair: readPair, loadCa: readCa };
    const { config, warnings } = await readConfig(readText(), file, { ...files, lookup: systemLookup });
    const log = { level: level ?? config.log.level, format: format ?? config.log.format };
    return { config: { ...config, log }, warnings };
  };
  const { config, warnings } = await read();
  if (values.dump) console.log(formatConfig(config));
  if (values.test || values.dump) {
    for (const warning of warnings) say(`warning: ${warning}`);
    if (values.test) say(`the configuration ${file} is valid${roomIn(config)}`);
    return;
  }
  const log = openLog(config.log);
  log.info("goscon starting", { version: deno.version, config: file });
  for (const warning of warnings) log.warning(warning);
  raiseDescriptorLimit(log);
  const { version } = deno;
  await serve(config, { log, version, command: COMMAND, read: async () => (await read()).config, ...origin });
}

/** What slots and threads of a cluster leave of an id. */
function roomIn({ cluster }: Config): string {
  return cluster ? `; each thread of a node can have ${idsOfThread(cluster)} sessions` : "";
}

/** The one address that a command is for. */
function onlyAddress(command: string, [addr, ...more]: string[]): string {
  if (addr === undefined || more.length > 0) throw new UsageError(`${command} takes one address, host:port`);
  return addr;
}

async function runCheck(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: REACH, allowPositionals: true });
  if (answered(values)) return;
  const addr = onlyAddress("check", positionals);
  const dialect = choice("dialect", values.dialect, DIALECTS) ?? "goscon";
  const all = await check(addr, {
    dialect,
    ...trustOf(addr, values),
    ...fecOf(addr, values),
    version: versionOf(values),
    note: say,
    tell: ({ section, rule, reason }) => {
      const because = reason ? `\n      ${reason}` : "";
      console.log(`${reason === undefined ? "ok  " : "FAIL"}  ${rule} (${section})${because}`);
    },
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
  const version = versionOf(values) ?? "auto";
  const reach = { ...trustOf(connect, values), ...fecOf(connect, values) };
  const more = { ...timesOf(values), ...reach, serverForgets: values["server-forgets"] ?? false };
  const bridge = startBridge({ listen: address, connect, dialect, version, target: target ?? "", log, ...more });
  await ended;
  await bridge.stop();
}

/** What `--protocol` says; `undefined`: it was not given. */
function versionOf({ protocol }: { protocol?: string }): 1 | 2 | undefined {
  const version = choice("protocol", protocol, ["1", "2"]);
  return version && (Number(version) as 1 | 2);
}

/** What `--ca` and `--servername` say, for a proxy at `addr`. */
function trustOf(addr: string, { ca, servername }: TlsOptions): TlsOptions {
  if ((ca ?? servername) === undefined) return {};
  if (!addr.startsWith("tls://")) throw new UsageError(`--ca and --servername are for tls://host:port, not ${addr}`);
  const trust = { ca: ca === undefined ? ca : readCertificate(ca), servername };
  orUsage(() => checkCa(trust));
  return trust;
}

/** What `--fec` says, for a proxy at `addr`. */
function fecOf(addr: string, { fec }: { fec?: string }): KcpConnectOptions {
  if (fec === undefined) return {};
  if (!addr.startsWith("kcp://")) throw new UsageError(`--fec is for kcp://host:port, not ${addr}`);
  const [, data, parity] = /^([1-9]\d{0,2}),([1-9]\d{0,2})$/.exec(fec) ?? [];
  const shards = { data: Number(data), parity: Number(parity) };
  if (shards.data + shards.parity <= MOST_SHARDS) return { fec: shards };
  throw new UsageError(`--fec ${fec}: expected DATA,PARITY, numbers of datagrams, ${MOST_SHARDS} at most together`);
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
  const flaky = values.udp
    ? await startUdpFlaky({ ...orUsage(() => udpFlakyOptions(values)), tell: say })
    : startFlaky({ ...orUsage(() => flakyOptions(values)), tell: say });
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

async function runConnect(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: CONNECT, allowPositionals: true });
  if (answered(values)) return;
  const addr = onlyAddress("connect", positionals);
  const dialect = choice("dialect", values.dialect, DIALECTS) ?? "goscon";
  const { readable: input } = Deno.stdin;
  const url = orUsage(() => urlOf(addr));
  const { linger, silence } = timesOf(values);
  const more = {
    serverForgets: values["server-forgets"] ?? false,
    silence,
    ...trustOf(addr, values),
    ...fecOf(addr, values),
  };
  const leaving = new AbortController();
  const { signal } = leaving;
  const options = {
    dialect,
    version: versionOf(values) ?? "auto" as const,
    target: values.target ?? "",
    signal,
    ...more,
  };
  // The proxy is told that nobody comes back.
  onSignals({ onEnd: (signal) => leaving.abort(new Interruption(signal)) });
  await terminal(url, options, { input, output: Deno.stdout.writable, tell: say, linger });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The exit code of what went wrong, which is told in one sentence. */
function fail(error: unknown): number {
  if (error instanceof ConfigError) {
    for (const fault of error.faults) writeLine(fault);
    return 2;
  }
  if (error instanceof Interruption) return SIGNAL_CODES[error.signal] ?? 1;
  const message = messageOf(error);
  const usage = error instanceof UsageError ||
    String((error as { code?: unknown } | null)?.code).startsWith("ERR_PARSE_ARGS");
  say(usage ? `${message} (see --help)` : message);
  return usage || error instanceof ConfigFileError ? 2 : 1;
}

/** With a manager it is by that, and done when this ends; else by a signal. */
async function runReload(args: string[]): Promise<void> {
  const asked = askedOf(args);
  if (asked) await requestReload(asked.config, asked.pid);
}

/** The same. */
async function runUpgrade(args: string[]): Promise<void> {
  const asked = askedOf(args);
  const done = asked && await requestUpgrade(asked.config, asked.pid);
  if (!done) return;
  const { pid, took_ms, sessions, p50_ms, p99_ms, longest_ms } = done;
  console.log(`process ${pid} has taken over`);
  if (sessions === 0) return;
  console.log(
    `in ${took_ms} ms, with ${sessions} sessions, which stood still for ${p50_ms} ms (p50), ${p99_ms} ms (p99), ${longest_ms} ms (longest)`,
  );
}

/** By which configuration a process runs that is to be asked for something, and its number if that was given. */
function askedOf(args: string[]): { config: Config; pid: number | undefined } | undefined {
  const { values } = parseArgs({ args, options: ASK });
  if (answered(values)) return undefined;
  const pid = values.pid ?? Deno.env.get("MAINPID");
  if (pid !== undefined && !/^[1-9]\d*$/.test(pid)) {
    throw new UsageError(`--pid ${pid}: expected the number of a process`);
  }
  const { file, read } = findConfig(values.config);
  const { config } = parseConfig(read(), file, readPair, readCa);
  return { config, pid: pid === undefined ? undefined : Number(pid) };
}

const COMMANDS: Record<string, (args: string[]) => Promise<void>> = {
  connect: runConnect,
  check: runCheck,
  bridge: runBridge,
  demo: runDemo,
  flaky: runFlaky,
  reload: runReload,
  upgrade: runUpgrade,
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
