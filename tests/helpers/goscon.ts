import assert from "node:assert/strict";
import { join } from "node:path";
import { PERMISSIONS } from "../../lib/build/compiler.ts";

const ROOT = join(import.meta.dirname!, "..", "..");

/** With the permissions of the executable, and no more. */
const RUN = ["run", ...PERMISSIONS, "--quiet", "--config", join(ROOT, "deno.json"), join(ROOT, "main.ts")];

const BINARY = Deno.env.get("GOSCON_BIN");

/** The program under test: `GOSCON_BIN`, or the source. */
const PROGRAM = BINARY ? [BINARY] : [Deno.execPath(), ...RUN];
/** Of that, what is executed. */
export const EXECUTABLE = PROGRAM[0]!;

/** The release before the one under test, as a command: `GOSCON_BEFORE`. Missing: there is none here. */
export const BEFORE = Deno.env.get("GOSCON_BEFORE")?.split(" ");

/**
 * `descriptors`: the most files and sockets that it may have open. `by`: a command, as nohup, that starts it. `at`: the path by which the
 * executable is called, which leads to `EXECUTABLE`. `release`: another program in its place.
 */
function program(
  args: string[],
  { descriptors, by = [], at, release: [executable, ...rest] = PROGRAM as [string], ...options }: ProgramOptions,
): Deno.Command {
  const limit = descriptors ? ["sh", "-c", `ulimit -n ${descriptors} && exec "$@"`, "sh"] : [];
  const [command, ...all] = [...limit, ...by, at ?? executable!, ...rest, ...args];
  return new Deno.Command(command!, { ...options, args: all });
}

type ProgramOptions = Deno.CommandOptions & { descriptors?: number; by?: string[]; at?: string; release?: string[] };

/** Whether the program under test runs on the old Deno, which does not settle a pending write on close. */
export const OLD_RUNTIME = (await runProgram(["--version"])).out.includes("(deno 2.6.");

/** Whether another process can take over from the program: see `obstacleTo`. */
export const CAN_UPGRADE = Deno.build.os === "linux" && Deno.env.get("GOSCON_IO") !== "deno";

/** Runs the program to its end. */
export async function runProgram(
  args: string[],
  { input, ...options }: Deno.CommandOptions & { input?: string } = {},
): Promise<{ code: number; out: string; err: string }> {
  const child = program(args, {
    ...options,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  // The old Deno has a word of its own when it looks a name up.
  const err = new TextDecoder().decode(stderr).replace(/^\(node:\d+\) \[DEP0040\].*\n/gm, "");
  return { code, out: new TextDecoder().decode(stdout), err };
}

/** With so many threads, and the sockets, that the environment says, where it does and the configuration does not. */
function withEnvironment(config: string): string {
  const indent = /^ */.exec(config.split("\n").at(1) ?? "")![0];
  let text = config.trimEnd() + "\n";
  for (const [key, variable] of [["workers", "GOSCON_WORKERS"], ["io", "GOSCON_IO"]] as const) {
    const value = Deno.env.get(variable);
    if (value && !new RegExp(`^ *${key}:`, "m").test(config)) text += `${indent}${key}: ${value}\n`;
  }
  return text;
}

/** A line of the JSON log. */
export type Event = { message: string; [field: string]: unknown };

interface StartOptions {
  descriptors?: number;
  by?: string[];
  at?: string;
  env?: Record<string, string>;
}

/** The real process, most often a proxy, with its log read. */
export class Goscon implements AsyncDisposable {
  readonly events: Event[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #file: string | undefined;
  readonly #log: Promise<void>;
  readonly #waiting = new Set<() => void>();
  #reading: PromiseWithResolvers<void> | undefined;
  #over = false;

  private constructor(child: Deno.ChildProcess, file?: string) {
    this.#child = child;
    this.#file = file;
    this.#log = this.#readLog();
  }

  /**
   * Starts it with this configuration, and waits until it listens. One that asks for any port may find one free that somebody has a moment
   * later: then it is started again.
   */
  static async start(config: string, options: StartOptions = {}): Promise<Goscon> {
    for (let attempt = 1;; attempt++) {
      try {
        return await Goscon.#start(config, options);
      } catch (error) {
        if (attempt === 3 || !/:0\b/.test(config) || !/the address is in use/.test(String(error))) throw error;
      }
    }
  }

  static async #start(config: string, options: StartOptions): Promise<Goscon> {
    const file = await Deno.makeTempFile({ suffix: ".yaml" });
    await Deno.writeTextFile(file, withEnvironment(config));
    const args = ["--config", file, "--log-format", "json", "--log-level", "debug"];
    const child = program(args, { ...options, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
    const goscon = new Goscon(child, file);
    await goscon.event((e) => e.message.startsWith("ready"));
    return goscon;
  }

  /** Starts another command of the program; each line that it says is an event. `by`: see `program`. */
  static spawn(args: string[], options: { by?: string[]; cwd?: string } = {}): Goscon {
    return new Goscon(program(args, { ...options, stdin: "null", stdout: "null", stderr: "piped" }).spawn());
  }

  /** The addresses it listens on, in the order of the configuration. */
  get addresses(): string[] {
    return this.events.filter((e) => e.message === "listening").map((e) => String(e.address));
  }

  /** Writes another configuration where it reads it from. */
  async rewrite(config: string): Promise<void> {
    await Deno.writeTextFile(this.#file!, withEnvironment(config));
  }

  /** Asks the manager, which the configuration must have. */
  async manager(method: string, path: string): Promise<{ status: number; text: string }> {
    const { url } = await this.event((e) => e.message === "manager");
    const response = await fetch(new URL(path, String(url)), { method });
    return { status: response.status, text: await response.text() };
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Those that have taken over from it, one after another. */
  get successors(): number[] {
    return this.events.filter((e) => e.message === "upgraded").map((e) => Number(e.pid));
  }

  /** Waits until so many processes, of those that have taken over from each other, have come to their end. */
  async stopped(count: number): Promise<void> {
    await this.event(() => this.events.filter(({ message }) => message === "stopped").length === count);
  }

  /** Waits for the first event, past or to come, that fits. */
  async event(fits: (event: Event) => boolean): Promise<Event> {
    for (;;) {
      const found = this.events.find(fits);
      if (found) return found;
      assert(!this.#over, `the program ended without that event; it said:\n${this.#said()}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Reads no more of its log, until `goOnReading`. */
  stopReading(): void {
    this.#reading ??= Promise.withResolvers();
  }

  goOnReading(): void {
    this.#reading?.resolve();
    this.#reading = undefined;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until the process is gone, though its log may not have been read: the exit code. */
  async exited(): Promise<number> {
    return (await this.#child.status).code;
  }

  /** Waits for its end: the exit code. */
  async ended(): Promise<number> {
    const [{ code }] = await Promise.all([this.#child.status, this.#log]);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#over && await Promise.race([this.#child.status, undefined]) === undefined) this.#child.kill("SIGKILL");
    this.goOnReading();
    // All that were begun: one that is not known to have taken over may have.
    for (const { pid } of this.events.filter((e) => e.message === "upgrade begun")) this.#end(Number(pid));
    await this.ended();
    if (this.#file) await Deno.remove(this.#file);
  }

  /** Ends a successor, if it is there: the number may be another's by now, who does not have its arguments. */
  #end(pid: number): void {
    try {
      if (Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(this.#file!)) Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }

  #said(): string {
    return this.events.map((event) => JSON.stringify(event)).join("\n");
  }

  async #readLog(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      await this.#reading?.promise;
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.events.push(parse(line));
      this.#wake();
    }
    this.#over = true;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

function parse(line: string): Event {
  return line.startsWith("{") ? JSON.parse(line) : { message: line };
}
