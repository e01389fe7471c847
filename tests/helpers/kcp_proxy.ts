import { TestProxy } from "./proxy.ts";

/** A proxy that is ready, whose listeners, one of each dialect, are of KCP. `keys`: see `TestProxy.start`; `port`: of the first. */
export async function kcpProxy(
  keys: Record<string, unknown>,
  { port = 0, fec }: { port?: number; fec?: { data: number; parity: number } | undefined } = {},
): Promise<TestProxy> {
  const listen = [
    { kcp: `127.0.0.1:${port}`, fec },
    { kcp: "127.0.0.1:0", dialect: "plain", fec },
  ];
  const proxy = TestProxy.start({ listen, shutdown_timeout: "10ms", ...keys });
  await proxy.proxy.ready;
  return proxy;
}
