import { type Config, formatAddress, type Listen } from "../config.ts";
import { type Endpoint, formatEndpoint } from "../link/link.ts";
import type { Log } from "../log.ts";
import type { DataPlane, Snapshot } from "../proxy/data_plane.ts";
import type { Plane } from "../proxy/cluster/cluster_plane.ts";

/** Says who it is and what it does. */
export async function announceAll(
  config: Config,
  dataPlane: Plane,
  options: { log: Log; command: string; manager: Endpoint | undefined },
): Promise<void> {
  announceEngine(config, dataPlane, options.log);
  if (config.cluster) announceCluster(await dataPlane.snapshot(), options.log);
  announce(config, dataPlane, options);
}

/** Says how sockets are had. Many systems do not allow io_uring: whoever did not ask for it need not care. */
function announceEngine(config: Config, { engine: { name: io, why } }: Pick<Plane, "engine">, log: Log): void {
  const isExpected = config.io === "auto" && io !== "deno";
  if (why === undefined || isExpected) log.info("sockets", { io, ...(why !== undefined && { reason: why }) });
  else log.warning("sockets", { io, reason: why });
}

/** Says who it is for its peers, and where they reach it. */
function announceCluster({ cluster }: Pick<Snapshot, "cluster">, log: Log): void {
  if (!cluster) return;
  const { name, discovery, listen, self: { role, slot, epoch, instance, addr } } = cluster;
  const identity = {
    name,
    role,
    ...(slot !== undefined && { node: slot }),
    ...(epoch !== undefined && { epoch }),
    instance,
  };
  log.info("cluster", { ...identity, listen: formatEndpoint(listen), advertised: formatEndpoint(addr), discovery });
}

/** Says where it listens, where it forwards, and what to try next. */
function announce(
  config: Config,
  { addresses }: DataPlane,
  { log, command, manager }: { log: Log; command: string; manager: Endpoint | undefined },
): void {
  config.listen.forEach(({ dialect, tls, acceptProxy, webSocket, kcp }, i) => {
    const more = {
      ...(webSocket && { ws: webSocket.path }),
      ...(kcp && { transport: "kcp" }),
      ...(kcp?.fec && { fec: `${kcp.fec.data}+${kcp.fec.parity}` }),
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
function triedBy({ dialect, tls, webSocket, kcp }: Listen, address: string): string {
  const url = kcp ? `kcp://${address}` : webSocket ? `${tls ? "wss" : "ws"}://${address}${webSocket.path}` : address;
  return url + (dialect === "plain" ? " --dialect plain" : "");
}
