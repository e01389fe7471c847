import type { KeepAliveOption } from "../config.ts";
import type { TcpOptions } from "../link/engine/engine.ts";

/** How connections are tuned that a part of the configuration is for. */
export function tcpOptionsOf(
  { keepalive, keepaliveInterval: idle, keepaliveProbes: probes }: KeepAliveOption,
): TcpOptions {
  return keepalive ? { keepAlive: { idle, interval: idle / 3, probes } } : {};
}
