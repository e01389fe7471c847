import type { Config } from "../config.ts";
import type { Engine, Listening } from "../link/engine/engine.ts";
import { openEngine } from "../link/engine/open_engine.ts";
import { type Endpoint, reasonOf } from "../link/link.ts";
import { type Log, logInternalErrors, openLog } from "../log.ts";
import { isReplaceable, type PassedListener } from "../proxy/data_plane.ts";
import { type Plane, startDataPlane } from "../proxy/cluster/cluster_plane.ts";
import { announceAll } from "./announce.ts";
import { drain } from "./drain.ts";
import { MANAGER_LISTENING, startManager } from "./manager/manager.ts";
import { Reloader, type ReloaderOptions } from "./reload.ts";
import { openNotifier, type ServiceNotifier } from "./sd_notify.ts";
import { onSignals } from "./signals.ts";
import type { Heir, Inheritance } from "./upgrade/inheritance.ts";
import type { Invocation } from "./upgrade/invocation.ts";
import { Upgrader } from "./upgrade/upgrader.ts";
import { within } from "../within.ts";

/** Milliseconds for connections of the manager to close, of clients who take nothing. */
const LAST_WORDS = 1000;

export interface ServeOptions {
  log: Log;
  /** Of this program. */
  version: string;
  /** How to call this program, for the hint of what to try next. */
  command: string;
  /** Reads the configuration anew, for a reload: see `ReloaderOptions`. */
  read: () => Promise<Config>;
  /** How this process was started; `undefined`: that is not known. */
  invocation: Invocation | undefined;
  /** What another process has for this one, which goes on with it; missing: there is none. */
  inheritance?: Inheritance | undefined;
}

/** How a process comes to its end. */
type End = "drain" | "stop" | "replaced";

/**
 * Runs the proxy until a signal or the manager says to end, and then until it has ended in order: after SIGTERM or a drain when
 * its sessions have ended or `drain_timeout` is over, after SIGINT at once, and when another process has taken over as after SIGTERM,
 * without listening any more. A second signal ends the process. Throws when an address cannot be had.
 */
export async function serve(config: Config, options: ServeOptions): Promise<void> {
  const { log, read, inheritance } = options;
  logInternalErrors(log);
  const end = Promise.withResolvers<End>();
  const started = Promise.withResolvers<{ reloader: Reloader; upgrader: Upgrader }>();
  // Before anybody is served: a signal that nobody handles ends the process.
  onSignals({
    onEnd: (signal) => {
      log.info("signal received", { signal });
      end.resolve(signal === "SIGINT" ? "stop" : "drain");
    },
    onReload: async () => void (await started.promise).reloader.reload(),
    onUpgrade: async () => void (await started.promise).upgrader.upgrade(),
  });
  const { engine, listening, dataPlane } = await open(config, { ...options, end: end.promise });
  if (!dataPlane) {
    await listening?.close();
    await engine.close();
    return log.info("stopped");
  }
  const taken = inheritance && await takeOver(inheritance, { dataPlane, log, ended: end.promise });
  const notifier = openNotifier(log, () => dataPlane.hung.length === 0);
  const apply = ({ log }: Config) => void openLog(log);
  const reloader = new Reloader(config, { log, dataPlane, read, apply, ...toldBy(notifier) });
  const drained = () => end.resolve("drain");
  const manager = listening &&
    startManager(listening, { dataPlane, reloader, log, drain: drained, upgrader: () => upgrader });
  const onReplaced = () => end.resolve("replaced");
  const upgrader: Upgrader = new Upgrader({
    ...options,
    dataPlane,
    manager,
    managerAt: config.manager,
    reloader,
    notifier,
    record: inheritance?.record,
    inherited: taken?.whole,
    onReplaced,
  });
  started.resolve({ reloader, upgrader });
  await announceAll(config, dataPlane, { ...options, manager: manager?.address });
  notifier.ready();
  await toEnd(await Promise.race([end.promise, dataPlane.failed]), { dataPlane, reloader, upgrader, notifier, log });
  log.info("stopping");
  await dataPlane.stop();
  // A client that takes nothing holds no end up.
  await within(reloader.config.shutdownTimeout, manager?.shutdown());
  await within(LAST_WORDS, engine.close());
  await notifier.close();
  log.info("stopped");
}

/**
 * What a process serves by; what it inherits it has, and nobody is accepted by that. What cannot be had is known before a client is. There
 * is no data plane when the end comes before there can be one.
 */
async function open(config: Config, { log, inheritance, end }: ServeOptions & { end: Promise<End> }) {
  const inherited = await inheritance?.listeners(config);
  const { engine } = openEngine(config.io === "deno" ? "deno" : "epoll");
  const listening = config.manager && listenForManager(engine, config.manager, inherited?.manager);
  const dataPlane = await startDataPlane(config, log, { end, inherited });
  return { engine, listening, dataPlane };
}

function listenForManager(engine: Engine, endpoint: Endpoint, inherited: PassedListener | undefined): Listening {
  if (!inherited) return engine.listen(endpoint, MANAGER_LISTENING);
  if (!engine.adoptListening) throw new Error("sockets are had by Deno, which takes none");
  return engine.adoptListening(inherited.descriptors[0]!, endpoint.hostname, MANAGER_LISTENING);
}

/**
 * Serves in the place of the process before, which is on its way to its end then. `whole` settles when nothing more comes from that. Throws
 * when it is not to.
 */
async function takeOver(
  inheritance: Inheritance,
  { dataPlane, log, ended }: { dataPlane: Plane; log: Log; ended: Promise<End> },
): Promise<{ whole: Promise<void> }> {
  const asked = await Promise.race([inheritance.ready(), ended, dataPlane.failed]);
  if (asked !== "asked" && asked !== "alone") throw new Error("a signal came before this process took over");
  if (!isReplaceable(dataPlane)) throw new Error("what this process has cannot go on from another one");
  // Before anybody comes for one of them.
  if (asked === "asked") await dataPlane.moveIn(inheritance.coming, []);
  await dataPlane.setListening("streams");
  const heir: Heir = {
    layout: dataPlane.layout,
    takeSessions: (thread, lane) => dataPlane.takeSessions(thread, lane),
    assertMovable: (session, descriptors) => dataPlane.assertMovable(session, descriptors),
    take: (session, descriptors) => dataPlane.moveIn(session, descriptors),
    hearDatagrams: (cookie, came) => dataPlane.hearDatagrams(cookie, came),
    onLost: (reason) => log.error("session lost in the upgrade", { reason }),
  };
  const isWhole = asked === "asked" && await inheritance.takeSessions(heir);
  if (!isWhole) log.error("the old process is gone, and its sessions with it");
  log.info("taken over", { from: inheritance.from });
  const accept = () => dataPlane.setListening("on"); // also for those of KCP, if not all has come
  if (!isWhole) await accept();
  const whole = inheritance.leave(heir).then(isWhole ? accept : undefined)
    .catch((error) => log.error("not all is taken over", { reason: reasonOf(error) }));
  return { whole };
}

/** Settles when the data plane is to stop. */
async function toEnd(
  end: End,
  { dataPlane, reloader, upgrader, notifier, log }: {
    dataPlane: Plane;
    reloader: Reloader;
    upgrader: Upgrader;
    notifier: ServiceNotifier;
    log: Log;
  },
): Promise<void> {
  await upgrader.close("this process is coming to its end");
  if (end !== "stop") {
    await drain(dataPlane, {
      log,
      timeout: () => reloader.config.drainTimeout,
      // In which balancers see that it is not ready, and may still send clients.
      delay: () =>
        end === "replaced" ? 0 : Math.min(reloader.config.cluster?.drainDelay ?? 0, reloader.config.drainTimeout),
      onProgress: () => notifier.extend(),
      isReplaced: end === "replaced",
    });
  }
  notifier.stopping();
}

/** Has systemd told of each reload, whoever asked for it. */
function toldBy(notifier: ServiceNotifier): Pick<ReloaderOptions, "onBegin" | "onEnd"> {
  return {
    onBegin: () => notifier.reloading(),
    onEnd: (result) => notifier.ready(result.ok ? "" : `configuration not reloaded: ${result.faults[0]}`),
  };
}
