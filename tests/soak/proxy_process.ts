import { join } from "node:path";
import type { Failures } from "./failures.ts";
import { linesOf } from "./lines.ts";
import type { Manager } from "./manager.ts";
import { comesTrue, sleep } from "./sleep.ts";
import { type Usage, usageOf } from "./usage.ts";

const ROOT = join(import.meta.dirname!, "..", "..");
const BINARY = Deno.env.get("GOSCON_BIN");
/** The program under soak: `GOSCON_BIN`, or the source. */
const PROGRAM = BINARY
  ? [BINARY]
  : [Deno.execPath(), "run", "-A", "--quiet", "--config", join(ROOT, "deno.json"), join(ROOT, "main.ts")];

/** How long it may take to start, and to stop when it has no sessions, in milliseconds. */
const PATIENCE = 30_000;
/** What it must never say: by itself, or through its runtime. */
const INTERNAL = /internal error|Uncaught|panicked/;

export interface ProxyOptions {
  configFile: string;
  /** Where what it says on standard error is kept. */
  logFile: string;
  manager: Manager;
  failures: Failures;
}

/** The proxy under soak: the real process. */
export class ProxyProcess {
  readonly #child: Deno.ChildProcess;
  readonly #options: ProxyOptions;
  readonly #log: Promise<void>;
  /** The process that serves now. */
  #pid: number;
  #stopping = false;
  #over = false;
  #lastLine = "";
  /** Lines of its log. */
  lines = 0;

  private constructor(child: Deno.ChildProcess, options: ProxyOptions) {
    this.#child = child;
    this.#options = options;
    this.#pid = child.pid;
    this.#log = this.#follow();
  }

  /** Settles when it is ready. Rejects when it does not come to be. */
  static async start(options: ProxyOptions): Promise<ProxyProcess> {
    const [command, ...args] = [...PROGRAM, "--config", options.configFile];
    const child = new Deno.Command(command!, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
    const proxy = new ProxyProcess(child, options);
    const isReady = () => options.manager.ask("GET", "/readyz").then(() => true, () => false);
    await comesTrue(async () => proxy.#over || await isReady(), PATIENCE);
    if (!proxy.#over && await isReady()) return proxy;
    await proxy.stop();
    throw new Error(`the proxy did not come to be ready; its last word: ${proxy.#lastLine || "none"}`);
  }

  /** Another process has taken over, which says what it says where this one did. */
  replacedBy(pid: number): void {
    this.#pid = pid;
  }

  async usage(): Promise<Usage> {
    return usageOf(this.#pid) ?? { descriptors: undefined, memory: await this.#options.manager.memory() };
  }

  /** Stops it by SIGTERM, or by force. Gives its exit code, or that of the process before all others; `undefined`: force was needed. */
  async stop(): Promise<number | undefined> {
    this.#stopping = true;
    this.#kill("SIGTERM");
    const ended = this.#log.then(() => this.#child.status);
    const code = await Promise.race([ended.then(({ code }) => code), sleep(PATIENCE)]);
    if (code === undefined) this.#kill("SIGKILL");
    await this.#log;
    return code ?? undefined;
  }

  #kill(signal: Deno.Signal): void {
    try {
      Deno.kill(this.#pid, signal);
    } catch {
      // It has ended already.
    }
  }

  async #follow(): Promise<void> {
    using file = await Deno.open(this.#options.logFile, { create: true, write: true, truncate: true });
    for await (const line of linesOf(this.#child.stderr)) {
      this.lines++;
      this.#lastLine = line;
      file.writeSync(new TextEncoder().encode(`${line}\n`));
      if (INTERNAL.test(line)) this.#options.failures.add(`the proxy's log: ${line.slice(0, 500)}`);
    }
    const { code } = await this.#child.status;
    this.#over = true;
    if (!this.#stopping) this.#options.failures.add(`the proxy ended by itself, with exit code ${code}`);
  }
}
