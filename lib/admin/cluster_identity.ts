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

/** Which process of a cluster one is, by the keys of the file: plain data. `undefined`: it is alone. */
export type ClusterIdentity = Record<string, unknown> | undefined;

/** Which one it is by that configuration. */
export function clusterIdentity({ cluster }: Pick<Config, "cluster">): ClusterIdentity {
  const keys = cluster && plainCluster(cluster);
  return keys && Object.fromEntries(KEPT.map((key) => [key, keys[key]]));
}

/** Throws a `ConfigError` when the process, which was that one, would have to be another one, or alone, by that reload or upgrade. */
export function refuseOther(is: ClusterIdentity, was: ClusterIdentity, what: "reload" | "upgrade"): void {
  const changed = KEPT.filter((key) => differences(was?.[key], is?.[key]).length > 0);
  const keys = was && is ? changed.map((key) => `cluster.${key}`) : was || is ? ["cluster"] : [];
  if (keys.length === 0) return;
  throw new ConfigError([`${keys.join(", ")}: no ${what} can change this: restart the process, or leave it as it was`]);
}
