/** `deno bench -A tests/bench/kcp_bench.ts`: what KCP's machine costs, between two of them in memory. */
import { Kcp } from "../../lib/link/kcp/machine/kcp.ts";
import { OPTIONS } from "../helpers/kcp_stage.ts";

/** What carries bytes from one machine to another and back, each way with the ACKs of the other in the same datagrams. */
function echo(size: number): () => void {
  const machine = () =>
    new Kcp(1, { ...OPTIONS, sendWindow: 2048, receiveWindow: 2048, sendBytes: 2 ** 22 }, { epoch: 0 });
  const [one, other] = [machine(), machine()];
  const bytes = new Uint8Array(size);
  let now = 0;
  const toOther = (datagram: Uint8Array) => void other.input(datagram, now, true);
  const toOne = (datagram: Uint8Array) => void one.input(datagram, now, true);
  return () => {
    now++;
    one.send(bytes);
    one.flush(now, toOther);
    for (let part; (part = other.receive());) other.send(part);
    other.flush(now, toOne);
    while (one.receive());
  };
}

for (const size of [64, 1376, 32 * 1376]) {
  Deno.bench({ name: `an echo of ${size} bytes`, fn: echo(size) });
}

const refused = new Kcp(1, OPTIONS, { epoch: 0 });
const junk = new Uint8Array(100).fill(7);
Deno.bench({ name: "a datagram of junk", fn: () => void refused.input(junk, 0, true) });
Deno.bench({ name: "a new machine", fn: () => void new Kcp(1, OPTIONS, { epoch: 0 }) });
