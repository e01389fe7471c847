import { type Config, ConfigError } from "../config.ts";
import { plainCluster } from "../config/cluster/options.ts";
import { differences } from "./differences.ts";

/** What of `cluster` a process keeps, so that nothing else may change it: by these peers know it, and ids tell whose a session is. */
const KEPT = [
  "name",
  "role",
  "slots",
  "threads",
  "discovery",
  "slot",
  "dns",
  "redis",
  "listen",
  "advertise",
  "state_dir",
];

/** By what a process of that configuration is known in its cluster, by the keys of the file: plain data. `undefined`: it is alone. */
export type ClusterIdentity = Record<string, unknown> | undefined;

export function clusterIdentity({ cluster }: Pick<Config, "cluster">): ClusterIdentity {
  const keys = cluster && plainCluster(cluster);
  return keys && Object.fromEntries(KEPT.map((key) => [key, keys[key]]));
}

/**
 * Throws a `ConfigError` when the process, which is that in its cluster, would have to be another one there, or of none. `what`: what would
 * make it that.
 */
export function refuseOther(is: ClusterIdentity, was: ClusterIdentity, what: "reload" | "upgrade"): void {
  const changed = KEPT.filter((key) => differences(was?.[key], is?.[key]).length > 0);
  const keys = was && is ? changed.map((key) => `cluster.${key}`) : was || is ? ["cluster"] : [];
  if (keys.length === 0) return;
  throw new ConfigError([`${keys.join(", ")}: no ${what} can change this: restart the process, or leave it as it was`]);
}
