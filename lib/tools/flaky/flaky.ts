import { formatAddress } from "../../config.ts";
import { acceptAll } from "../../link/accept.ts";
import { dial, type SocketAddress } from "../../link/dial.ts";
import { formatEndpoint, reasonOf } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import { SocketLink, TcpLink } from "../../link/tcp.ts";
import { Random } from "../../random.ts";
import { type Fate, Pair } from "./pair.ts";
import { type Clock, systemClock } from "./token_bucket.ts";

/** Milliseconds that reaching each address may take. */
const DIAL_TIMEOUT = 10_000;

export interface FlakyOptions {
  /** Where to listen; port 0: any. */
  listen: SocketAddress;
  /** Where each connection is carried to. */
  connect: SocketAddress;
  /** Each connection is cut, once it is carried, after a random time between the half and the whole of these milliseconds. */
  cutEvery?: number | undefined;
  /** Each is cut after a random number of bytes, both ways together, between the half and the whole of these. */
  cutAfterBytes?: number | undefined;
  /** Cuts are resets, as `SocketLink.reset` has them. Default: they are ends of the stream, both ways. */
  rst?: boolean | undefined;
  /** Milliseconds for which a connection stays open before its cut, and carries nothing. Default 0. */
  stall?: number | undefined;
  /** Milliseconds by which all is delayed, each way. At most 1 MiB a way is under way, so it limits the rate too. */
  latency?: number | undefined;
  /** Bytes a second, each way of each connection. */
  rate?: number | undefined;
  /** Of all chance. Default: by chance; it is told. */
  seed?: number | undefined;
  /** Hears, in a sentence each, the seed, and what becomes of each connection. */
  tell?: ((line: string) => void) | undefined;
  clock?: Clock | undefined;
}

export interface Flaky {
  /** Where it listens: `host:port`, or `unix:/path`. */
  address: string;
  /** Listens no more and closes every connection; settles when nothing is left. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a TCP relay that hurts on purpose. It carries every byte unchanged and in order, ends of directions as well, to
 * where it hurts: see the options. All that is left to chance is drawn when a connection comes, two numbers for each
 * whatever the options: the same seed and the same order of connections give the same cuts. Memory is bounded: who sends
 * more than the other end takes is held up. A connection that cannot be carried on, or that one end resets, is reset.
 * Throws when it cannot listen.
 */
export function startFlaky(options: FlakyOptions): Flaky {
  const { tell = () => {} } = options;
  const random = new Random(options.seed);
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  let count = 0;
  const { listener, address } = listen(options.listen);
  const onConnection = (conn: Deno.TcpConn | Deno.UnixConn) => {
    const number = ++count;
    const fate = fateOf(options, random, (bytes) => tell(`connection ${number}: cut after ${bytes} bytes`));
    tell(`connection ${number}: ${planOf(fate)}`);
    const near = "setNoDelay" in conn ? new TcpLink(conn, { keepAlive: false }) : new SocketLink(conn);
    const run = carry(near, options.connect, fate, stopping.signal).catch((error) => {
      tell(`connection ${number}: not carried: ${reasonOf(error)}`);
      near.reset();
    }).finally(() => running.delete(run));
    running.add(run);
  };
  const onFailure = ({ reason }: { reason: string }) => tell(`accept failed: ${reason}`);
  const accepting = acceptAll(listener, { onConnection, onFailure, signal: stopping.signal });
  tell(`listening on ${address}, carrying to ${formatAddress(options.connect)}, seed ${random.seed}`);
  const stop = async () => {
    if (!stopping.signal.aborted) {
      stopping.abort();
      listener.close();
    }
    await Promise.all([accepting, ...running]);
  };
  return { address, stop };
}

/** Until the connection is over, or all is stopped. Rejects when nobody answers there. */
async function carry(near: SocketLink, to: SocketAddress, fate: Fate, signal: AbortSignal): Promise<void> {
  const far = await dial(to, { timeout: DIAL_TIMEOUT, signal });
  const pair = new Pair(near, far, fate);
  const stop = () => pair.stop();
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  await pair.run();
  signal.removeEventListener("abort", stop);
}

/** Draws what will become of the next connection. */
function fateOf(options: FlakyOptions, random: Random, onCut: (bytes: number) => void): Fate {
  const { cutEvery, cutAfterBytes, rst = false, stall = 0, latency = 0, rate, clock = systemClock } = options;
  const [time, bytes] = [random.next(), random.next()];
  return {
    cutAfter: cutEvery && cutEvery * (1 + time) / 2,
    cutAfterBytes: cutAfterBytes && Math.ceil(cutAfterBytes * (1 + bytes) / 2),
    rst,
    stall,
    latency,
    rate,
    clock,
    onCut,
  };
}

function planOf({ cutAfter, cutAfterBytes }: Fate): string {
  const plans = [
    ...(cutAfter === undefined ? [] : [`after ${Math.round(cutAfter)} ms`]),
    ...(cutAfterBytes === undefined ? [] : [`after ${cutAfterBytes} bytes`]),
  ];
  return plans.length > 0 ? `to be cut ${plans.join(", or ")}` : "not to be cut";
}

function listen(address: SocketAddress): { listener: Deno.TcpListener | Deno.UnixListener; address: string } {
  if (address.kind === "unix") {
    const text = formatAddress(address);
    return {
      listener: orExplain(text, () => Deno.listen({ transport: "unix", path: address.path })),
      address: text,
    };
  }
  const { hostname, port } = address;
  const listener = orExplain(address, () => Deno.listen({ hostname, port }));
  return { listener, address: formatEndpoint(listener.addr) };
}
