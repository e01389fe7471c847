import { isInstalled } from "./programs.ts";
import { tcp } from "./raw_client.ts";

/** Whether HAProxy is installed: a real receiver of the PROXY protocol. */
export const HAS_HAPROXY = isInstalled("haproxy");

/** Runs HAProxy with one HTTP frontend on a free port of 127.0.0.1. `bind`: options of the bind line. `rules`: its lines. */
export async function haproxy(bind: string, rules: string): Promise<AsyncDisposable & { address: string }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${listener.addr.port}`;
  listener.close();
  const file = await Deno.makeTempFile({ suffix: ".cfg" });
  await Deno.writeTextFile(
    file,
    `
defaults
    mode http
    timeout client 10s
    timeout connect 10s
    timeout server 10s
frontend test
    bind ${address} ${bind}
${rules}
`,
  );
  const child = new Deno.Command("haproxy", { args: ["-db", "-f", file], stdout: "null", stderr: "inherit" }).spawn();
  let ended = false;
  const status = child.status.finally(() => ended = true);
  for (let up = false; !up;) {
    if (ended) throw new Error("haproxy ended before it listened");
    const link = await tcp(address).catch(() => undefined);
    link?.close();
    up = link !== undefined;
  }
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await status;
      await Deno.remove(file);
    },
  };
}
