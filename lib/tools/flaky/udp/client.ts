import { type Endpoint, formatEndpoint, reasonOf } from "../../../link/link.ts";
import { Random } from "../../../random.ts";
import type { Clock } from "../token_bucket.ts";
import { DatagramWay, type WayCounts, type WayOptions } from "./datagram_way.ts";
import { Forwarder } from "./forwarder.ts";
import { isIpv6, openDatagrams, receiveAll } from "./sockets.ts";

export interface ClientOptions {
  /** Where it is. */
  from: Endpoint;
  /** An IP address and a port. */
  target: Endpoint;
  way: WayOptions;
  /** Of each direction. */
  seeds: [number, number];
  clock: Clock;
  /** The socket that the client sends to; not closed here. */
  near: Deno.DatagramConn;
  /** Hears what goes wrong, in a sentence each. */
  tell: (line: string) => void;
}

/**
 * One client of the relay: a socket of its own to the target, so that answers find back, and the two directions. Answers
 * are what comes to that socket, from wherever.
 */
export class Client {
  readonly #options: ClientOptions;
  readonly #far: Deno.DatagramConn;
  readonly #ways: [DatagramWay, DatagramWay];
  readonly #there: Forwarder;
  readonly #back: Forwarder;
  readonly #receiving: Promise<void>;
  #heard: number;
  #isStopped = false;
  #told = new Set<string>();

  /** Throws when it cannot have a socket. */
  constructor(options: ClientOptions) {
    const { from, target, way, seeds, clock, near } = options;
    this.#options = options;
    this.#far = openDatagrams({ hostname: isIpv6(target.hostname) ? "::" : "0.0.0.0", port: 0 });
    this.#ways = [new DatagramWay(way, new Random(seeds[0])), new DatagramWay(way, new Random(seeds[1]))];
    this.#there = new Forwarder(this.#ways[0], (datagram) => this.#send(this.#far, datagram, target), clock);
    this.#back = new Forwarder(this.#ways[1], (datagram) => this.#send(near, datagram, from), clock);
    this.#heard = clock.now();
    this.#receiving = receiveAll(this.#far, (datagram) => this.#put(this.#back, datagram))
      .catch((error) => this.#tell(`receives nothing more: ${reasonOf(error)}`));
  }

  /** When something came last, of either end. */
  get heard(): number {
    return this.#heard;
  }

  /** A datagram of the client came; it is copied. */
  put(datagram: Uint8Array): void {
    this.#put(this.#there, datagram);
  }

  /** What became of the datagrams of both directions, for people. */
  describe(): string {
    const [there, back] = this.#ways.map(({ counts }) => describe(counts));
    return `sent ${there}; got ${back}`;
  }

  /** Drops what is under way, and closes; settles when nothing is left. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#far.close();
    await Promise.all([this.#there.stop(), this.#back.stop(), this.#receiving]);
  }

  #put(forwarder: Forwarder, datagram: Uint8Array): void {
    this.#heard = this.#options.clock.now();
    forwarder.put(datagram);
  }

  async #send(socket: Deno.DatagramConn, datagram: Uint8Array, to: Endpoint): Promise<void> {
    try {
      await socket.send(datagram, { transport: "udp", ...to });
    } catch (error) {
      this.#tell(`not sent to ${formatEndpoint(to)}: ${reasonOf(error)}`);
    }
  }

  /** Each only once: it may be so for every datagram. */
  #tell(line: string): void {
    if (this.#isStopped || this.#told.has(line)) return;
    this.#told.add(line);
    this.#options.tell(line);
  }
}

function describe({ came, lost, doubled, reordered, overflowed }: WayCounts): string {
  return `${came} datagrams: ${lost} lost, ${overflowed} had no room, ${doubled} doubled, ${reordered} held back`;
}
