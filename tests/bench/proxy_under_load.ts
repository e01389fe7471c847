import { join } from "node:path";
import { Goscon } from "../helpers/goscon.ts";

/** A proxy of its own, with its backends in another process. */
export interface ProxyUnderLoad extends AsyncDisposable {
  /** The listener of each dialect. */
  addresses: { goscon: string; plain: string };
  /** Seconds of CPU used so far, and KiB of resident memory; 0 where there is no /proc. */
  usage(): Promise<{ cpu: number; memory: number }>;
}

/** Starts it. `workers`: threads of the data plane. */
export async function startProxyUnderLoad(workers: number): Promise<ProxyUnderLoad> {
  const args = ["run", "-A", "--quiet", join(import.meta.dirname!, "backends.ts")];
  const backends = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
  const reader = backends.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  const [echo, source, sink] = JSON.parse(value ?? "[]") as string[];
  const goscon = await Goscon.start(`
    listen: [{tcp: "127.0.0.1:0"}, {tcp: "127.0.0.1:0", dialect: plain}]
    hosts: [{name: echo, addr: "${echo}"}, {name: source, addr: "${source}"}, {name: sink, addr: "${sink}"}]
    scp: {reuse_buffer: 1MiB, reuse_time: 5s}
    shutdown_timeout: 0
    workers: ${workers}
  `);
  const [first, second] = goscon.addresses;
  return {
    addresses: { goscon: first!, plain: second! },
    usage: () => usageOf(goscon.pid),
    async [Symbol.asyncDispose]() {
      await goscon[Symbol.asyncDispose]();
      backends.kill("SIGKILL");
      await reader.cancel();
      await backends.stdin.close().catch(() => {});
      await backends.status;
    },
  };
}

async function usageOf(pid: number): Promise<{ cpu: number; memory: number }> {
  try {
    const stat = (await Deno.readTextFile(`/proc/${pid}/stat`)).split(") ")[1]!.split(" ");
    const memory = /VmRSS:\s+(\d+)/.exec(await Deno.readTextFile(`/proc/${pid}/status`))?.[1];
    // Linux counts in hundredths of a second.
    return { cpu: (Number(stat[11]) + Number(stat[12])) / 100, memory: Number(memory) };
  } catch {
    return { cpu: 0, memory: 0 };
  }
}
