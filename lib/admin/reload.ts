import { type ClusterTls, type Config, ConfigError, plainConfig } from "../config.ts";
import { reasonOf } from "../link/link.ts";
import type { Log } from "../log.ts";
import type { DataPlane } from "../proxy/data_plane.ts";
import { isSameAddress } from "../proxy/front/listener.ts";
import { clusterIdentity, refuseOther } from "./cluster_identity.ts";
import { differences } from "./differences.ts";

/** What a reload came to. */
export type ReloadResult =
  | {
    ok: true;
    /** The keys whose values changed, as `scp.reuse_time: 30s -> 60s`. */
    changed: string[];
    /** The keys among them that have an effect only after a restart. */
    needsRestart: string[];
  }
  | { ok: false; faults: string[] };

/** What cannot change while the process runs: it goes on as it was. */
const FIXED = ["manager", "io", "workers"];

export interface ReloaderOptions {
  log: Log;
  dataPlane: DataPlane;
  /** Reads anew the configuration that the process started with. Rejects with `ConfigError`, or with why it cannot be read. */
  read: () => Promise<Config>;
  /** Goes by what of a configuration is not the data plane's. */
  apply: (config: Config) => void;
  /** Told when a reload begins, and what it came to. */
  onBegin?: () => void;
  onEnd?: (result: ReloadResult) => void;
}

/** The configuration in effect, and how it is changed: one reload at a time, each whole or not at all. */
export class Reloader {
  #config: Config;
  readonly #options: ReloaderOptions;
  #last: Promise<unknown> = Promise.resolve();
  #closed: string | undefined;

  constructor(config: Config, options: ReloaderOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** The configuration in effect. */
  get config(): Config {
    return this.#config;
  }

  /** Reads the file and goes by it; with any fault nothing changes. Logs what came of it. Never rejects. */
  reload(): Promise<ReloadResult> {
    const { onBegin, onEnd } = this.#options;
    return this.exclusively(async () => {
      if (this.#closed !== undefined) return this.#refused([this.#closed]);
      onBegin?.();
      const result = await this.#reload();
      onEnd?.(result);
      return result;
    });
  }

  /** What `task` gives, which must not reject: no reload goes on meanwhile. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result;
    return result;
  }

  /** There is no reload any more, for that reason. */
  close(reason: string): void {
    this.#closed = reason;
  }

  async #reload(): Promise<ReloadResult> {
    const { log, dataPlane, read, apply } = this.#options;
    try {
      const config = await read();
      refuseOther(clusterIdentity(config), clusterIdentity(this.#config), "reload");
      const changed = differencesOf(this.#config, config);
      await dataPlane.reconfigure(config);
      apply(config);
      const needsRestart = [
        ...changed.filter((line) => FIXED.some((key) => line.startsWith(`${key}:`))),
        ...changesOfFec(this.#config, config),
      ];
      this.#config = config;
      log.info("configuration reloaded", { changed: changed.join("; ") || "nothing" });
      for (const line of needsRestart) log.warning("this change needs a restart", { key: line });
      return { ok: true, changed, needsRestart };
    } catch (error) {
      return this.#refused(error instanceof ConfigError ? [...error.faults] : [reasonOf(error)]);
    }
  }

  #refused(faults: string[]): ReloadResult {
    for (const fault of faults) this.#options.log.error("configuration not reloaded", { reason: fault });
    return { ok: false, faults };
  }
}

/** Listeners of KCP that stay, but for their FEC: that is for all conversations of a socket. */
function changesOfFec(before: Config, after: Config): string[] {
  return after.listen.flatMap((listen, i) => {
    const same = before.listen.find((each) => isSameAddress(each, listen));
    return same?.kcp && listen.kcp ? differences(same.kcp.fec, listen.kcp.fec, `listen[${i}].fec`) : [];
  });
}

/** Where two configurations differ; of what is secret, and of certificates, only that they do. */
function differencesOf(before: Config, after: Config): string[] {
  const tls = after.listen.flatMap(({ tls }, i) => renewed(`listen[${i}].tls`, before.listen[i]?.tls, tls));
  const peers = renewed("cluster.tls", before.cluster?.tls, after.cluster?.tls);
  const [was, is] = [before, after].map(({ cluster }) => JSON.stringify(cluster?.secrets));
  const secrets = was === is ? [] : ["cluster.secrets: they have changed"];
  const token = before.managerToken === after.managerToken ? [] : ["manager_token: it has changed"];
  return [...differences(plainOf(before), plainOf(after)), ...tls, ...peers, ...secrets, ...token];
}

/** Without what is secret and may change. */
function plainOf({ cluster, ...config }: Config): Record<string, unknown> {
  return plainConfig({ ...config, managerToken: "", ...(cluster && { cluster: { ...cluster, secrets: [] } }) });
}

/** Whether there is something else now in the same files. */
function renewed(
  path: string,
  before: Partial<ClusterTls> | undefined,
  after: Partial<ClusterTls> | undefined,
): string[] {
  const differs = (["ca", "cert", "key"] as const).some((part) => after?.[part] !== before?.[part]);
  return before && after && differs ? [`${path}: the files have changed`] : [];
}
