import { type Config, formatAddress, type Listen } from "../config.ts";
import { type Endpoint, formatEndpoint } from "../link/link.ts";
import { type Log, logInternalErrors, openLog } from "../log.ts";
import type { DataPlane } from "../proxy/data_plane.ts";
import { reservePort } from "../proxy/front/listener.ts";
import { startWorkers, type WorkerPool } from "../proxy/cluster/worker_pool.ts";
import { drain } from "./drain.ts";
import { startManager } from "./manager.ts";
import { Reloader, type ReloaderOptions } from "./reload.ts";
import { openNotifier, type ServiceNotifier } from "./sd_notify.ts";
import { onSignals } from "./signals.ts";
import { within } from "../within.ts";

export interface ServeOptions {
  log: Log;
  /** How to call this program, for the hint of what to try next. */
  command: string;
  /** Reads the configuration anew, for a reload: see `ReloaderOptions`. */
  read: () => Promise<Config>;
}

/**
 * Runs the proxy until a signal or the manager says to end, and then until it has ended in order: after SIGTERM or a drain when
 * its sessions have ended or `drain_timeout` is over, after SIGINT at once. A second signal ends the process. Throws when an
 * address cannot be had.
 */
export async function serve(config: Config, { log, command, read }: ServeOptions): Promise<void> {
  logInternalErrors(log);
  const end = Promise.withResolvers<"drain" | "stop">();
  const started = Promise.withResolvers<Reloader>();
  // Before anybody is served: a signal that nobody handles ends the process.
  onSignals({
    onEnd: (signal) => {
      log.info("signal received", { signal });
      end.resolve(signal === "SIGINT" ? "stop" : "drain");
    },
    onReload: async () => void (await started.promise).reload(),
  });
  // What cannot be had is known before a client is accepted.
  if (config.manager) reservePort(config.manager);
  const dataPlane = await startWorkers(config, log);
  const notifier = openNotifier(log, () => dataPlane.hung.length === 0);
  const apply = ({ log }: Config) => void openLog(log);
  const reloader = new Reloader(config, { log, dataPlane, read, apply, ...toldBy(notifier) });
  const manager = config.manager &&
    startManager(config.manager, { dataPlane, reloader, log, drain: () => end.resolve("drain") });
  started.resolve(reloader);
  announceEngine(dataPlane, log);
  announce(config, dataPlane, { log, command, manager: manager?.address });
  notifier.ready();
  if (await Promise.race([end.promise, dataPlane.failed]) === "drain") {
    await drain(dataPlane, {
      log,
      timeout: () => reloader.config.drainTimeout,
      onProgress: () => notifier.extend(),
    });
  }
  notifier.stopping();
  log.info("stopping");
  await dataPlane.stop();
  // A client that takes nothing holds no end up.
  await within(reloader.config.shutdownTimeout, manager?.shutdown());
  await notifier.close();
  log.info("stopped");
}

/** Has systemd told of each reload, whoever asked for it. */
function toldBy(notifier: ServiceNotifier): Pick<ReloaderOptions, "onBegin" | "onEnd"> {
  return {
    onBegin: () => notifier.reloading(),
    onEnd: (result) => notifier.ready(result.ok ? "" : `configuration not reloaded: ${result.faults[0]}`),
  };
}

/** Says how sockets are had. */
function announceEngine({ engine: { name: io, why } }: Pick<WorkerPool, "engine">, log: Log): void {
  if (why === undefined) log.info("sockets", { io });
  else log.warning("sockets", { io, reason: why });
}

/** Says where it listens, where it forwards, and what to try next. */
function announce(
  config: Config,
  { addresses }: DataPlane,
  { log, command, manager }: { log: Log; command: string; manager: Endpoint | undefined },
): void {
  config.listen.forEach(({ dialect, tls, acceptProxy, webSocket }, i) => {
    const more = {
      ...(webSocket && { ws: webSocket.path }),
      ...(tls && { tls: tls.certFile }),
      ...(acceptProxy && { accept_proxy: "true" }),
    };
    log.info("listening", { address: formatEndpoint(addresses[i]!), dialect, ...more });
  });
  for (const { name, addr, weight } of config.hosts) {
    log.info("forwarding", { to: formatAddress(addr), name: name || undefined, weight });
  }
  if (manager) log.info("manager", { url: `http://${formatEndpoint(reachable(manager))}/` });
  log.info(`ready; try: ${command} connect ${triedBy(config.listen[0]!, formatEndpoint(reachable(addresses[0]!)))}`);
}

/** Where this machine can reach what listens on an address. */
export function reachable({ hostname, port }: Endpoint): Endpoint {
  return { hostname: { "0.0.0.0": "127.0.0.1", "::": "::1" }[hostname] ?? hostname, port };
}

/** What `goscon connect` takes to reach a listener. */
function triedBy({ dialect, tls, webSocket }: Listen, address: string): string {
  const url = webSocket ? `${tls ? "wss" : "ws"}://${address}${webSocket.path}` : address;
  return url + (dialect === "plain" ? " --dialect plain" : "");
}
