import type { KeepAlive, TcpOptions } from "./engine.ts";
import {
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SO_OOBINLINE,
  SO_RCVBUF,
  SOL_SOCKET,
  type System,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from "./system.ts";

/** Sets what holds for a TCP socket, or for all that are accepted by it. */
export function tune(system: System, fd: number, { keepAlive, receiveBuffer }: TcpOptions): void {
  system.setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // A byte that is marked as urgent is one of the stream.
  system.setOption(fd, SOL_SOCKET, SO_OOBINLINE, 1);
  if (receiveBuffer !== undefined) system.setOption(fd, SOL_SOCKET, SO_RCVBUF, receiveBuffer);
  system.setOption(fd, SOL_SOCKET, SO_KEEPALIVE, keepAlive ? 1 : 0);
  if (!keepAlive || keepAlive.idle === 0) return;
  system.setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(keepAlive.idle));
  system.setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(keepAlive.interval));
  system.setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, keepAlive.probes);
}

/** How the system is set up to look after a socket that was not tuned. */
export function keepAliveOf(system: System, fd: number): KeepAlive {
  const [idle, interval, probes] = [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT].map((name) =>
    system.getOption(fd, IPPROTO_TCP, name)
  );
  return { idle: 1000 * idle!, interval: 1000 * interval!, probes: probes! };
}

/** Whole ones, of which the system takes 1 to 32767. */
function seconds(ms: number): number {
  return Math.min(Math.max(Math.round(ms / 1000), 1), 32767);
}
