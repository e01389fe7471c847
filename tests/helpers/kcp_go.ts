import { join } from "node:path";
import { isInstalled } from "./programs.ts";

// Of Debian's golang-github-xtaci-kcp-dev.
const GOPATH = "/usr/share/gocode";
const SOURCE = join(import.meta.dirname!, "kcp_go", "main.go");

/** Whether kcp-go, which goscon speaks KCP by, is there as source, and a compiler. */
export const HAS_KCP_GO = isInstalled("go", ["version"]) &&
  isInstalled("test", ["-d", `${GOPATH}/src/github.com/xtaci/kcp-go`]);

export interface KcpGoShards {
  data: number;
  parity: number;
}
const NO_FEC: KcpGoShards = { data: 0, parity: 0 };

/** kcp-go as a program, which is compiled: it is removed with this. */
export class KcpGo implements AsyncDisposable {
  readonly #dir: string;
  readonly #children: Deno.ChildProcess[] = [];

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async build(): Promise<KcpGo> {
    const built = new KcpGo(await Deno.makeTempDir());
    const env = { GOPATH, GO111MODULE: "off", GOFLAGS: "", GOCACHE: join(built.#dir, "cache") };
    const args = ["build", "-o", join(built.#dir, "kcp_go"), SOURCE];
    const { success, stderr } = await new Deno.Command("go", { args, env, stderr: "piped" }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return built;
  }

  /** The address of a server that echoes every session. */
  async serve({ data, parity }: KcpGoShards = NO_FEC): Promise<Deno.NetAddr> {
    const child = this.#spawn(["serve", `${data}`, `${parity}`]);
    const line = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("\n")) text += (await line.read()).value ?? "\n";
    await line.cancel();
    const [hostname, port] = text.trim().split(":") as [string, string];
    return { transport: "udp", hostname, port: Number(port) };
  }

  /** A session to that address: what is written to its input it sends, and what it receives is its output. */
  dial(address: Deno.Addr, { data, parity }: KcpGoShards = NO_FEC): Deno.ChildProcess {
    const { hostname, port } = address as Deno.NetAddr;
    return this.#spawn(["dial", `${hostname}:${port}`, `${data}`, `${parity}`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      child.kill("SIGKILL");
      await child.status;
    }
    await Deno.remove(this.#dir, { recursive: true });
  }

  #spawn(args: string[]): Deno.ChildProcess {
    const stdin = args[0] === "dial" ? "piped" : "null";
    const child = new Deno.Command(join(this.#dir, "kcp_go"), { args, stdin, stdout: "piped" }).spawn();
    this.#children.push(child);
    return child;
  }
}
