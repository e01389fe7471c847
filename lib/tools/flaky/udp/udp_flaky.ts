import { systemLookup } from "../../../link/dial.ts";
import { type Endpoint, formatEndpoint, reasonOf } from "../../../link/link.ts";
import { Random } from "../../../random.ts";
import type { Flaky } from "../flaky.ts";
import { type Clock, systemClock } from "../token_bucket.ts";
import { Client } from "./client.ts";
import type { WayOptions } from "./datagram_way.ts";
import { openDatagrams, receiveAll } from "./sockets.ts";

/** Missing: none. */
type Chances = { [K in keyof WayOptions]?: WayOptions[K] | undefined };

/** Milliseconds after which a client of which nothing came, and to which nothing, is forgotten. */
export const IDLE_TIME = 180_000;

export interface UdpFlakyOptions extends Chances {
  /** Where to listen; port 0: any. */
  listen: Endpoint;
  /** Where each client's datagrams are carried to; of a name, its first address. */
  connect: Endpoint;
  /** Of all chance. Default: by chance; it is told. */
  seed?: number | undefined;
  /** Hears, in a sentence each, the seed, and what becomes of each client. */
  tell?: ((line: string) => void) | undefined;
  clock?: Clock | undefined;
}

/**
 * Starts a UDP relay that hurts on purpose: see the options, which hold for each direction of each client by itself; a
 * client is an address. The same seed, the same order of clients and of each one's datagrams give the same fates.
 * Memory is bounded for each client, and clients are as many as there are descriptors. Rejects when it cannot listen, or
 * the name of the target has no address.
 */
export async function startUdpFlaky(options: UdpFlakyOptions): Promise<Flaky> {
  const [hostname] = await systemLookup(options.connect.hostname);
  if (hostname === undefined) throw new Error(`${options.connect.hostname} has no address`);
  const relay = new UdpRelay(options, { hostname, port: options.connect.port });
  return { address: relay.address, stop: () => relay.stop() };
}

class UdpRelay {
  readonly address: string;
  readonly #target: Endpoint;
  readonly #way: WayOptions;
  readonly #tell: (line: string) => void;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #near: Deno.DatagramConn;
  readonly #clients = new Map<string, { client: Client; name: string; cancel: () => void }>();
  readonly #leaving = new Set<Promise<void>>();
  readonly #receiving: Promise<void>;
  #count = 0;
  #isStopped = false;

  constructor(options: UdpFlakyOptions, target: Endpoint) {
    const { loss = 0, duplicate = 0, reorder = 0, latency = 0, jitter = 0, rate, tell = () => {} } = options;
    this.#target = target;
    this.#way = { loss, duplicate, reorder, latency, jitter, rate };
    this.#tell = tell;
    this.#clock = options.clock ?? systemClock;
    this.#random = new Random(options.seed);
    this.#near = openDatagrams(options.listen);
    this.address = formatEndpoint(this.#near.addr as Deno.NetAddr);
    const to = formatEndpoint(options.connect);
    tell(`listening on ${this.address} for UDP, carrying to ${to}, seed ${this.#random.seed}`);
    this.#receiving = receiveAll(this.#near, (datagram, from) => this.#clientAt(from)?.put(datagram))
      .catch((error) => tell(`nothing more is received: ${reasonOf(error)}`));
  }

  async stop(): Promise<void> {
    if (!this.#isStopped) {
      this.#isStopped = true;
      this.#near.close();
      for (const from of this.#clients.keys()) this.#forget(from, "stopped");
    }
    await Promise.all([this.#receiving, ...this.#leaving]);
  }

  /** The client of this address; undefined when it cannot be carried. */
  #clientAt(from: Endpoint): Client | undefined {
    const key = formatEndpoint(from);
    const known = this.#clients.get(key);
    if (known) return known.client;
    const name = `client ${++this.#count}`;
    const seeds: [number, number] = [this.#random.int(0, 2 ** 32 - 1), this.#random.int(0, 2 ** 32 - 1)];
    const tell = (line: string) => this.#tell(`${name}: ${line}`);
    const { hostname, port } = from;
    const [target, way, clock, near] = [this.#target, this.#way, this.#clock, this.#near];
    try {
      const client = new Client({ from: { hostname, port }, target, way, seeds, clock, near, tell });
      this.#clients.set(key, { client, name, cancel: () => {} });
      tell(key);
      this.#watch(key, IDLE_TIME);
      return client;
    } catch (error) {
      tell(`not carried: ${reasonOf(error)}`);
    }
  }

  /** Looks again after that time whether the client is idle. */
  #watch(key: string, time: number): void {
    const entry = this.#clients.get(key)!;
    entry.cancel = this.#clock.after(time, () => {
      const left = entry.client.heard + IDLE_TIME - this.#clock.now();
      if (left > 0) this.#watch(key, left);
      else this.#forget(key, "idle");
    });
  }

  #forget(key: string, why: string): void {
    const { client, name, cancel } = this.#clients.get(key)!;
    cancel();
    this.#clients.delete(key);
    this.#tell(`${name}: ${why}; ${client.describe()}`);
    const leaving = client.stop().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }
}
