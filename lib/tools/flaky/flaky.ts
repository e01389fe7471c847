import { once } from "node:events";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";
import { formatAddress } from "../../config.ts";
import type { SocketAddress } from "../../link/dial.ts";
import { StreamLink } from "../../link/stream.ts";
import { type Fate, Pair, type ResettableLink } from "./pair.ts";
import { Random } from "../../random.ts";
import { type Clock, systemClock } from "./token_bucket.ts";

export interface FlakyOptions {
  /** Where to listen; port 0: any. */
  listen: SocketAddress;
  /** Where each connection is carried to. */
  connect: SocketAddress;
  /** Each connection is cut after a random time between the half and the whole of these milliseconds. */
  cutEvery?: number | undefined;
  /** Each is cut after a random number of bytes, both ways together, between the half and the whole of these. */
  cutAfterBytes?: number | undefined;
  /** Cuts are resets. Default: they are ends of the stream, both ways. */
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
 * Rejects when it cannot listen.
 */
export async function startFlaky(options: FlakyOptions): Promise<Flaky> {
  const { tell = () => {} } = options;
  const random = new Random(options.seed);
  const pairs = new Map<Pair, Promise<void>>();
  let count = 0;
  // Node's, since Deno's own connections cannot be reset.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const number = ++count;
    const fate = fateOf(options, random, (bytes) => tell(`connection ${number}: cut after ${bytes} bytes`));
    tell(`connection ${number}: ${planOf(fate)}`);
    const [near, far] = [new NodeLink(socket), new NodeLink(connect(placeOf(options.connect)))];
    const pair = new Pair(near, far, fate);
    pairs.set(pair, pair.run().then(() => near.closed).then(() => far.closed).then(() => void pairs.delete(pair)));
  });
  const address = await listen(server, options.listen);
  const closed = once(server, "close");
  tell(`listening on ${address}, carrying to ${formatAddress(options.connect)}, seed ${random.seed}`);
  const stop = async () => {
    server.close();
    for (const pair of pairs.keys()) pair.stop();
    await Promise.all([closed, ...pairs.values()]);
  };
  return { address, stop };
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

function placeOf(address: SocketAddress): NetConnectOpts {
  const place = address.kind === "unix" ? { path: address.path } : { host: address.hostname, port: address.port };
  return { ...place, allowHalfOpen: true };
}

async function listen(server: Server, address: SocketAddress): Promise<string> {
  const listening = once(server, "listening");
  server.listen(address.kind === "unix" ? { path: address.path } : { host: address.hostname, port: address.port });
  await listening;
  const bound = server.address();
  if (bound === null || typeof bound === "string") return formatAddress(address);
  return formatAddress({ kind: "tcp", hostname: bound.address, port: bound.port });
}

/** A link over a socket of Node's. */
class NodeLink extends StreamLink implements ResettableLink {
  readonly #socket: Socket;
  /** Settles when it is closed, by whoever. */
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    super(socket);
    socket.setNoDelay(true);
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
  }

  reset(): void {
    // One that still connects would first wait until it is connected.
    if (this.#socket.connecting) this.close();
    else if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
  }
}
