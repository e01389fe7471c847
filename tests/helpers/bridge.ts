import { type Bridge, type BridgeOptions, startBridge } from "../../lib/tools/bridge/bridge.ts";
import { formatEndpoint, type Link, writeAll } from "../../lib/link/link.ts";
import type { TcpLink } from "../../lib/link/tcp.ts";
import type { Backend } from "./backend.ts";
import { TestLog, TestProxy } from "./proxy.ts";
import { pattern } from "./random.ts";
import { tcp } from "./raw_client.ts";

/** So long that no test sees it pass. */
const NEVER = 2 ** 30;

/** A bridge on a random port, to which a test connects. */
export class TestBridge implements AsyncDisposable {
  readonly log = new TestLog();
  readonly bridge: Bridge;

  constructor(connect: string, options: Partial<BridgeOptions> = {}) {
    const listen = { hostname: "127.0.0.1", port: 0 };
    this.bridge = startBridge({ listen, connect, linger: NEVER, log: this.log, ...options });
  }

  /** A local program's connection. */
  async open(): Promise<TcpLink & Disposable> {
    return disposable(await tcp(formatEndpoint(this.bridge.address)));
  }

  async [Symbol.asyncDispose]() {
    await this.bridge.stop();
  }
}

/** A proxy to that backend. `reuseTime`: by default long enough for a client that a slow machine holds up. */
export function proxyOf(backend: Backend, reuseTime = "1m"): TestProxy {
  const hosts = [{ name: "one", addr: backend.address }];
  return TestProxy.start({ hosts, scp: { reuse_time: reuseTime }, shutdown_timeout: "10ms" });
}

/** Sends so many bytes of a stream: see `pattern`. */
export async function sendAll(link: Link, length: number, stream: number): Promise<void> {
  for (let at = 0; at < length; at += 10_000) await writeAll(link, pattern(at, Math.min(10_000, length - at), stream));
}

export function disposable<T extends Link>(link: T): T & Disposable {
  return Object.assign(link, { [Symbol.dispose]: () => link.close() });
}
