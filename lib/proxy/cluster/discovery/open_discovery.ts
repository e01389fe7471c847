import type { ClusterOptions } from "../../../config.ts";
import { systemLookup } from "../../../link/dial.ts";
import type { Log } from "../../../log.ts";
import type { Discovery } from "./discovery.ts";
import { DnsDiscovery } from "./dns_discovery.ts";
import { RedisDiscovery } from "./redis_discovery.ts";
import { StateDir } from "./state_dir.ts";
import { StaticDiscovery } from "./static_discovery.ts";

/**
 * How nodes find each other, as the configuration says. `keep`: milliseconds for which sessions may live in a node that is found no more;
 * `rest`: for which a slot rests that was given back.
 */
export async function openDiscovery(
  { role, discovery, slot, slots, nodes, dns, redis, stateDir }: ClusterOptions,
  { keep, rest, log }: { keep: number; rest: number; log: Log },
): Promise<Discovery> {
  const memory = { state: await StateDir.open(stateDir, log), random: Math.random };
  const more = { ...memory, slots, keep, log, now: () => performance.now() };
  if (discovery === "redis") return new RedisDiscovery({ ...redis!, rest: Math.max(rest, redis!.lease), ...more });
  if (discovery === "static") return new StaticDiscovery({ slot, nodes, ...memory });
  return new DnsDiscovery({ role, ...dns!, hostname: Deno.hostname(), lookup: systemLookup, ...more });
}
