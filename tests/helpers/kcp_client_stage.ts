import { kcpProxy } from "./kcp_proxy.ts";
import { NumberBackend } from "./number_backend.ts";
import { Random } from "./random.ts";
import { UdpRelay } from "./udp_relay.ts";

/** What a client over KCP streams numbers with, over a network that loses some datagrams, and now and then changes the client's address. */
export interface KcpClientStage extends AsyncDisposable {
  /** `kcp://…` */
  url: string;
  backend: NumberBackend;
  relay: UdpRelay;
  seed: number;
}

/** For options of `connect`, by which a loss is noticed soon. */
export const SOON = { pingInterval: 200, pingTimeout: 300, silence: 500, cacheSize: 2 ** 24 };

/** Sets it up for one session, in which the backend sends so many numbers. */
export async function kcpClientStage(
  total: number,
  { dialect, fec }: { dialect: "goscon" | "plain"; fec: { data: number; parity: number } | undefined },
): Promise<KcpClientStage> {
  const random = new Random();
  const backend = new NumberBackend(total);
  const proxy = await kcpProxy({ hosts: [{ addr: backend.address }], scp: { reuse_buffer: 2 ** 26 } }, { fec });
  const { addresses: [goscon, plain] } = proxy.proxy;
  const relay = new UdpRelay(dialect === "plain" ? plain! : goscon!, { random, loss: 0.05, rebindAfter: 60 });
  return {
    url: `kcp://${relay.address}`,
    backend,
    relay,
    seed: random.seed,
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}
