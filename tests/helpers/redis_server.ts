import { join } from "node:path";
import { REDIS } from "./servers.ts";

/** A real Redis, or Valkey, of its own, which keeps nothing on the disk, on a Unix socket and a port of 127.0.0.1. */
export class RedisServer implements AsyncDisposable {
  readonly #dir: string;
  readonly #arguments: string[];
  readonly port: number;
  #child: Deno.ChildProcess | undefined;

  private constructor(dir: string, port: number, args: string[]) {
    this.#dir = dir;
    this.port = port;
    this.#arguments = args;
  }

  /** It does not run yet. `args`: more options of it. */
  static async create(...args: string[]): Promise<RedisServer> {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return new RedisServer(await Deno.makeTempDir(), listener.addr.port, args);
  }

  static async start(...args: string[]): Promise<RedisServer> {
    const server = await RedisServer.create(...args);
    await server.start();
    return server;
  }

  get socket(): string {
    return join(this.#dir, "redis.sock");
  }

  /** Starts it, again as well, and then empty. Settles when it serves. */
  async start(): Promise<void> {
    const place = ["--bind", "127.0.0.1", "--port", String(this.port), "--unixsocket", this.socket];
    const args = [...place, "--save", "", "--appendonly", "no", ...this.#arguments];
    const child = new Deno.Command(REDIS, { args, cwd: this.#dir, stdin: "null", stdout: "null" }).spawn();
    let ended = false;
    child.status.then(() => ended = true);
    this.#child = child;
    // Without its password it answers, too: that there should be one.
    while (!/PONG|NOAUTH/.test(await this.ask("PING").catch(() => ""))) {
      if (ended) throw new Error(`${REDIS} ended before it served`);
    }
  }

  /** At once, as a crash. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.status;
    this.#child = undefined;
  }

  /** It answers nothing any more, but what it has is there. */
  pause(): void {
    this.#child!.kill("SIGSTOP");
  }

  resume(): void {
    this.#child!.kill("SIGCONT");
  }

  /** What it answers to its own client, as text; rejects with its errors. */
  async ask(...command: string[]): Promise<string> {
    const args = ["-s", this.socket, ...command];
    const { success, stdout, stderr } = await new Deno.Command("redis-cli", { args }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#dir, { recursive: true });
  }
}
