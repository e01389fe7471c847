import { type Config, formatAddress } from "../config.ts";
import { type Endpoint, formatEndpoint, reasonOf } from "../link/link.ts";
import type { Log } from "../log.ts";
import { startProxy } from "../proxy/proxy.ts";
import { systemSeams } from "../proxy/seams.ts";

const STOP_SIGNALS: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];

/**
 * Runs the proxy until a signal says to stop, and then until it has stopped in order; a second signal ends the process at
 * once. `command`: how to call this program, for the hint of what to try next. Throws when an address cannot be had.
 */
export async function serve(config: Config, { log, command }: { log: Log; command: string }): Promise<void> {
  // Nothing that goes wrong in one session may end the others. It is a fault of ours: it is to be seen.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.error("internal error", { reason: reasonOf(event.reason), stack: (event.reason as Error)?.stack });
  });
  const proxy = startProxy(config, systemSeams(log));
  config.listen.forEach(({ dialect }, i) => {
    log.info("listening", { address: formatEndpoint(proxy.addresses[i]!), dialect });
  });
  for (const { name, addr, weight } of config.hosts) {
    log.info("forwarding", { to: formatAddress(addr), name: name || undefined, weight });
  }
  log.info(`ready; try: ${command} connect ${hintedAddress(config, proxy.addresses)}`);
  const signal = await firstSignal();
  log.info("stopping", { signal, sessions: proxy.size });
  await proxy.stop();
  log.info("stopped");
}

function firstSignal(): Promise<Deno.Signal> {
  return new Promise((resolve) => {
    let seen = false;
    for (const signal of STOP_SIGNALS) {
      Deno.addSignalListener(signal, () => {
        if (seen) Deno.exit(1);
        seen = true;
        resolve(signal);
      });
    }
  });
}

/** An address of the first listener that this machine can be reached at, with what else `connect` must be told. */
function hintedAddress({ listen }: Config, addresses: Endpoint[]): string {
  const { hostname, port } = addresses[0]!;
  const reachable = { "0.0.0.0": "127.0.0.1", "::": "::1" }[hostname] ?? hostname;
  return formatEndpoint({ hostname: reachable, port }) + (listen[0]!.dialect === "plain" ? " --dialect plain" : "");
}
