import { Condition } from "../../link/condition.ts";

/** A process whose lines are told with its name before each. A signal of the terminal is for this process alone. */
export class Child {
  readonly name: string;
  readonly pid: number;
  /** Settles when it has ended. */
  readonly ended: Promise<void>;
  readonly #process: Deno.ChildProcess;
  readonly #changed = new Condition();
  readonly #lines: string[] = [];
  #isOver = false;

  /** Throws when there is no such program. `tell` hears its lines, and of its end. */
  constructor(name: string, [command, ...args]: readonly string[], tell: (line: string) => void) {
    this.name = name;
    const options = { args, stdin: "null", stdout: "piped", stderr: "piped", detached: true } as const;
    this.#process = new Deno.Command(command!, options).spawn();
    this.pid = this.#process.pid;
    this.ended = this.#watch((line) => tell(`${name.padEnd(5)} | ${line}`));
  }

  /** Settles when a line has come that `pattern` fits. Rejects when the process ends without one. */
  async says(pattern: RegExp): Promise<void> {
    while (!this.#lines.some((line) => pattern.test(line))) {
      if (this.#isOver) throw new Error(`${this.name} has ended: ${this.#lines.at(-1) ?? "it said nothing"}`);
      await this.#changed.wait();
    }
  }

  /** Ends it in order, and settles when it has. */
  async stop(): Promise<void> {
    try {
      this.#process.kill("SIGINT");
    } catch {
      // It has ended already.
    }
    await this.ended;
  }

  async #watch(tell: (line: string) => void): Promise<void> {
    const { stdout, stderr, status } = this.#process;
    await Promise.all([stdout, stderr].map((stream) => this.#read(stream, tell)));
    const { code, signal } = await status;
    this.#isOver = true;
    this.#changed.notify();
    tell(signal ? `ended by ${signal}` : `ended with ${code}`);
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, tell: (line: string) => void): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        this.#lines.push(line);
        tell(line);
      }
      this.#changed.notify();
    }
  }
}
