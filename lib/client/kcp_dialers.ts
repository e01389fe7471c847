import { lookup } from "node:dns/promises";
import { connect } from "../link/engine/udp/node_datagrams.ts";
import { ReedSolomon } from "../link/kcp/fec/reed_solomon.ts";
import { dialKcp } from "../link/kcp/kcp_dial.ts";
import type { Link } from "../link/link.ts";
import { SILENCE } from "./connection_options.ts";
import { type Dial, type Dialer, hostTarget } from "./dialers.ts";

/** What holds for `kcp://`. */
export interface KcpConnectOptions {
  /**
   * The server's `fec`: to every so many datagrams so many more are added, from which lost ones are rebuilt without waiting. Both ends
   * must have the same. Default: none.
   */
  fec?: { data: number; parity: number } | undefined;
}

/**
 * That of `kcp://host:port`, in Deno and Node. Of a name with several addresses the one that answered last comes first, then the others
 * in the order of the look-up: each has its part of `timeout` milliseconds to send anything, unless the system tells at once that
 * nobody is there. A link over which nothing comes for `silence` milliseconds, though the server is asked, is lost.
 */
export function kcpDialers({ fec, ...times }: KcpConnectOptions & Times): Record<string, Dialer> {
  return { "kcp:": (url) => kcpDial(hostTarget(url), fec && codeOf(fec), times) };
}

/** In milliseconds. */
interface Times {
  timeout: number;
  /** See `ConnectionOptions`. */
  silence?: number | undefined;
}

function kcpDial(
  { host, port }: { host: string; port: number },
  fec: ReedSolomon | undefined,
  { timeout, silence = SILENCE }: Times,
): Dial {
  let answered: string | undefined;
  return async (signal): Promise<Link> => {
    const ips = await addressesOf(host, signal);
    const [first, ...others] = ips.sort((a, b) => Number(b === answered) - Number(a === answered))
      .map((hostname) => ({ hostname, port }));
    if (!first) throw new Error(`${host} has no address`);
    return await dialKcp(first, {
      open: (endpoint) => connect(endpoint),
      fec,
      silence,
      others,
      patience: timeout / ips.length,
      onAnswer: ({ hostname }) => answered = hostname,
    });
  };
}

/** The IP addresses of a host. A look-up cannot be stopped: when it is given up it is left alone. */
async function addressesOf(host: string, signal: AbortSignal): Promise<string[]> {
  signal.throwIfAborted();
  const found = lookup(host, { all: true });
  return await new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    found.then((all) => resolve(all.map(({ address }) => address)), reject);
  });
}

function codeOf({ data, parity }: { data: number; parity: number }): ReedSolomon {
  if (Number.isInteger(data) && Number.isInteger(parity)) return new ReedSolomon(data, parity);
  throw new RangeError(`fec: expected whole numbers, not ${data} data and ${parity} parity shards`);
}
