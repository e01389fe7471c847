import assert from "node:assert/strict";

const SIGNALS = new URL("../../lib/admin/signals.ts", import.meta.url);
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const IGNORE = { ignore: Deno.build.os === "windows" };

/** A process that tells of its signals, and after that answers each piece of its input: then it has seen those before. */
class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  said = "";

  /** `handlers`: of `onSignals`, in which `tell(text)` says what is to be seen. `first`: what a shell does before. */
  constructor(handlers: string, first = "true") {
    const code = `
      import { onSignals } from "${SIGNALS}";
      const tell = (text) => Deno.stdout.writeSync(new TextEncoder().encode(text));
      onSignals(${handlers});
      for await (const _ of Deno.stdin.readable) tell(".");`;
    const run = [Deno.execPath(), "eval", "--quiet", "--config", CONFIG, code];
    const args = ["-c", `${first} && exec "$@"`, "sh", ...run];
    this.#child = new Deno.Command("sh", { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until it has said so much. */
  async says(text: string): Promise<void> {
    while (this.said.length < text.length) {
      const { value, done } = await this.#output.read();
      assert(!done, `it ended, and said only ${this.said}`);
      this.said += value;
    }
    assert.equal(this.said, text);
  }

  async ask(): Promise<void> {
    await this.#input.write(new Uint8Array(1));
  }

  async ended(): Promise<number> {
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#output.cancel();
    await this.ended();
  }
}

const TELL_END = "{ onEnd: (signal) => tell(signal) }";

Deno.test(
  "onSignals() takes SIGHUP as a signal to end, but not as the second one, which ends at once",
  IGNORE,
  async () => {
    await using process = new Process(TELL_END);
    await process.ask();
    await process.says(".");
    process.kill("SIGHUP");
    await process.says(".SIGHUP");
    process.kill("SIGHUP");
    await process.ask();
    await process.says(".SIGHUP.");
    process.kill("SIGTERM");
    assert.equal(await process.ended(), 1);
  },
);

Deno.test("onSignals() leaves a SIGHUP alone that was ignored when the process began", IGNORE, async () => {
  await using process = new Process(TELL_END, "trap '' HUP");
  await process.ask();
  await process.says(".");
  for (let round = 1; round < 4; round++) {
    process.kill("SIGHUP");
    await process.ask();
    await process.says(".".repeat(1 + round));
  }
  process.kill("SIGTERM");
  await process.says("....SIGTERM");
});

Deno.test("onSignals() calls onReload at each SIGHUP, also where it was ignored", IGNORE, async () => {
  for (const first of ["true", "trap '' HUP"]) {
    await using process = new Process("{ onEnd: () => {}, onReload: () => tell('reload ') }", first);
    await process.ask();
    await process.says(".");
    process.kill("SIGHUP");
    await process.says(".reload ");
    process.kill("SIGHUP");
    await process.says(".reload reload ");
  }
});
