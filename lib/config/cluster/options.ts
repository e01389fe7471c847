import type { ClusterOptions, ClusterTls } from "../types.ts";
import { formatAddress, formatTime } from "../units.ts";
import type { ClusterSection } from "./schema.ts";

/** What the section `cluster` of a file says; `tls`: what is in the files that it names. */
export function clusterOf(section: ClusterSection, tls: ClusterTls | undefined): ClusterOptions {
  const { slot, nodes, dns, redis, listen, advertise, state_dir: stateDir } = section;
  return {
    name: section.name,
    role: section.role,
    slots: section.slots,
    threads: section.threads,
    discovery: section.discovery,
    ...(slot !== undefined && { slot }),
    nodes: nodes.map(({ slot, addr }) => ({ slot, ...endpointOf(addr) })),
    ...(dns && { dns }),
    ...(redis && { redis }),
    listen: endpointOf(listen),
    ...(advertise && { advertise: endpointOf(advertise) }),
    serves: section.serves,
    weight: section.weight,
    ...(tls && { tls }),
    secrets: section.secrets,
    ...(stateDir !== undefined && { stateDir }),
    drainDelay: section.drain_delay,
    drainRate: section.drain_rate,
  };
}

/** The values of that section, by their keys. */
export function plainCluster(cluster: ClusterOptions): Record<string, unknown> {
  const { slot, nodes, dns, redis, listen, advertise, tls, stateDir } = cluster;
  return {
    name: cluster.name,
    role: cluster.role,
    slots: cluster.slots,
    threads: cluster.threads,
    discovery: cluster.discovery,
    ...(slot !== undefined && { slot }),
    nodes: nodes.map(({ slot, ...endpoint }) => ({ slot, addr: format(endpoint) })),
    ...(dns && { dns }),
    ...(redis && { redis: { ...redis, lease: formatTime(redis.lease) } }),
    listen: format(listen),
    ...(advertise && { advertise: format(advertise) }),
    serves: cluster.serves,
    weight: cluster.weight,
    ...(tls && { tls: { ca: tls.caFile, cert: tls.certFile, key: tls.keyFile, name: tls.name } }),
    secrets: cluster.secrets,
    ...(stateDir !== undefined && { state_dir: stateDir }),
    drain_delay: formatTime(cluster.drainDelay),
    drain_rate: cluster.drainRate,
  };
}

type Endpoint = ClusterOptions["listen"];

function endpointOf({ hostname, port }: Endpoint): Endpoint {
  return { hostname, port };
}

function format(endpoint: Endpoint): string {
  return formatAddress({ kind: "tcp", ...endpoint });
}
