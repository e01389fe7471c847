import { startFlaky } from "../../lib/tools/flaky/flaky.ts";
import { parseAddress } from "../../lib/config.ts";
import type { SocketAddress } from "../../lib/link/dial.ts";
import { formatEndpoint } from "../../lib/link/link.ts";
import { NumberBackend } from "./number_backend.ts";
import { TestProxy } from "./proxy.ts";
import { Random } from "./random.ts";

/** What a client streams numbers with, over a network that cuts each connection after at most `cutAfterBytes`. */
export interface ClientStage extends AsyncDisposable {
  /** `tcp://…`, of dialect goscon. */
  tcp: string;
  /** `ws://…`, of dialect plain. */
  ws: string;
  /** `tls://…`, of dialect goscon, where there is a certificate. A cut ends TCP in order there, in the middle of TLS. */
  tls: string;
  backend: NumberBackend;
  seed: number;
}

const place = (address: string) => parseAddress(address) as SocketAddress;

/** Sets it up for one session, in which the backend sends so many numbers. `pair`: files of a certificate and its key. */
export function clientStage(
  total: number,
  cutAfterBytes: number,
  pair?: { cert: string; key: string },
): ClientStage {
  const { seed } = new Random();
  const backend = new NumberBackend(total);
  const proxy = TestProxy.start({
    listen: [{ tcp: "127.0.0.1:0" }, { ws: "127.0.0.1:0", dialect: "plain" }, { tcp: "127.0.0.1:0", tls: pair }],
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: 64 * 2 ** 20 },
    shutdown_timeout: "10ms",
  });
  const flaky = (address: string, rst: boolean) =>
    startFlaky({ listen: place("127.0.0.1:0"), connect: place(address), cutAfterBytes, rst, seed });
  const [tcp, ws] = [flaky(proxy.address, true), flaky(proxy.plainAddress, true)];
  const tls = flaky(formatEndpoint(proxy.proxy.addresses[2]!), false);
  return {
    tcp: `tcp://${tcp.address}`,
    ws: `ws://${ws.address}/scp`,
    tls: `tls://${tls.address}`,
    backend,
    seed,
    async [Symbol.asyncDispose]() {
      await Promise.all([tcp.stop(), ws.stop(), tls.stop()]);
      await proxy[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}
