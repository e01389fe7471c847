import { startFlaky } from "../../lib/tools/flaky/flaky.ts";
import { parseAddress } from "../../lib/config.ts";
import type { SocketAddress } from "../../lib/link/dial.ts";
import { NumberBackend } from "./number_backend.ts";
import { TestProxy } from "./proxy.ts";
import { Random } from "./random.ts";

/** What a client streams numbers with, over a network that cuts each connection after at most `cutAfterBytes`. */
export interface ClientStage extends AsyncDisposable {
  /** `tcp://…`, of dialect goscon. */
  tcp: string;
  /** `ws://…`, of dialect plain. */
  ws: string;
  backend: NumberBackend;
  seed: number;
}

const place = (address: string) => parseAddress(address) as SocketAddress;

/** Sets it up for one session, in which the backend sends so many numbers. */
export function clientStage(total: number, cutAfterBytes: number): ClientStage {
  const { seed } = new Random();
  const backend = new NumberBackend(total);
  const proxy = TestProxy.start({
    listen: [{ tcp: "127.0.0.1:0" }, { ws: "127.0.0.1:0", dialect: "plain" }],
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: 64 * 2 ** 20 },
    shutdown_timeout: "10ms",
  });
  const flaky = (address: string) =>
    startFlaky({ listen: place("127.0.0.1:0"), connect: place(address), cutAfterBytes, rst: true, seed });
  const [tcp, ws] = [flaky(proxy.address), flaky(proxy.plainAddress)];
  return {
    tcp: `tcp://${tcp.address}`,
    ws: `ws://${ws.address}/scp`,
    backend,
    seed,
    async [Symbol.asyncDispose]() {
      await Promise.all([tcp.stop(), ws.stop()]);
      await proxy[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}
