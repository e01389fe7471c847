import { type Config, ConfigError, plainConfig } from "../config.ts";
import { reasonOf } from "../link/link.ts";
import type { Log } from "../log.ts";
import type { DataPlane } from "../proxy/data_plane.ts";

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

/** What cannot change while the process runs. */
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
    const result = this.#last.then(async () => {
      onBegin?.();
      const result = await this.#reload();
      onEnd?.(result);
      return result;
    });
    this.#last = result;
    return result;
  }

  async #reload(): Promise<ReloadResult> {
    const { log, dataPlane, read, apply } = this.#options;
    try {
      const config = await read();
      const changed = differencesOf(this.#config, config);
      await dataPlane.reconfigure(config);
      apply(config);
      this.#config = config;
      const needsRestart = changed.filter((line) => FIXED.some((key) => line.startsWith(`${key}:`)));
      log.info("configuration reloaded", { changed: changed.join("; ") || "nothing" });
      for (const line of needsRestart) log.warning("this change needs a restart", { key: line });
      return { ok: true, changed, needsRestart };
    } catch (error) {
      const faults = error instanceof ConfigError ? [...error.faults] : [reasonOf(error)];
      for (const fault of faults) log.error("configuration not reloaded", { reason: fault });
      return { ok: false, faults };
    }
  }
}

/** Where two configurations differ; of the token and of certificates only that they do. */
function differencesOf(before: Config, after: Config): string[] {
  const tls = after.listen.flatMap(({ tls }, i) => {
    const was = before.listen[i]?.tls;
    const renewed = tls && was && (tls.cert !== was.cert || tls.key !== was.key);
    return renewed ? [`listen[${i}].tls: the files have changed`] : [];
  });
  const token = before.managerToken === after.managerToken ? [] : ["manager_token: it has changed"];
  const plain = (config: Config) => plainConfig({ ...config, managerToken: "" });
  return [...differences(plain(before), plain(after)), ...tls, ...token];
}

/** Where two values differ, key by key. */
function differences(before: unknown, after: unknown, path = ""): string[] {
  if (isTree(before) && isTree(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    const under = (key: string) => Array.isArray(after) ? `${path}[${key}]` : path ? `${path}.${key}` : key;
    return keys.flatMap((key) => differences(before[key], after[key], under(key)));
  }
  const [was, is] = [before, after].map((value) => JSON.stringify(value) ?? "nothing");
  return was === is ? [] : [`${path}: ${was} -> ${is}`];
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
