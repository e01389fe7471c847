import { type Endpoint, formatEndpoint } from "../../lib/link/link.ts";
import type { Random } from "./random.ts";

/** Datagrams of each client before one is lost: a server begins no session with a client that moves before it has proven where it is. */
const SAFE = 20;

export interface UdpRelayOptions {
  random?: Random;
  /** The part of all datagrams that is lost, each way. */
  loss?: number;
  /** Each client comes from another port after so many of its datagrams. */
  rebindAfter?: number;
}

/** What a NAT is to clients: each has a port of it, as the server sees it, and another one whenever the NAT has forgotten that. */
export class UdpRelay implements AsyncDisposable {
  readonly #target: Deno.NetAddr;
  readonly #options: Required<Omit<UdpRelayOptions, "random">> & { random: Random | undefined };
  readonly #near = listen();
  readonly #outer = new Map<string, { socket: Deno.DatagramConn; count: number }>();
  readonly #running = new Set<Promise<void>>();
  /** Datagrams of each client. */
  readonly #counts = new Map<string, number>();
  /** Ports that were forgotten. */
  rebound = 0;
  /** Carries nothing, either way. */
  isDead = false;
  #isClosed = false;

  constructor({ hostname, port }: Endpoint, { random, loss = 0, rebindAfter = Infinity }: UdpRelayOptions = {}) {
    this.#target = { transport: "udp", hostname, port };
    this.#options = { random, loss, rebindAfter };
    this.#run(this.#near, (datagram, from) => this.#fromClient(datagram, from));
  }

  /** `host:port`, for clients. */
  get address(): string {
    return formatEndpoint(this.#near.addr as Deno.NetAddr);
  }

  /** The server's answers do not arrive any more, and it sees other clients. */
  rebind(): void {
    for (const { socket } of this.#outer.values()) socket.close();
    this.rebound += this.#outer.size;
    this.#outer.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#near.close();
    this.rebind();
    await Promise.all(this.#running);
  }

  #fromClient(datagram: Uint8Array, from: Deno.NetAddr): void {
    if (this.#isClosed) return;
    const key = formatEndpoint(from);
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    let outer = this.#outer.get(key);
    if (outer && outer.count++ >= this.#options.rebindAfter) {
      outer.socket.close();
      this.rebound++;
      outer = undefined;
    }
    if (!outer) {
      outer = { socket: listen(), count: 0 };
      this.#outer.set(key, outer);
      this.#run(outer.socket, (answer) => this.#carry(this.#near, answer, from));
    }
    this.#carry(outer.socket, datagram, this.#target, count <= SAFE);
  }

  #carry(socket: Deno.DatagramConn, datagram: Uint8Array, to: Deno.NetAddr, isSafe = false): void {
    const { random, loss } = this.#options;
    if (this.isDead || (!isSafe && random && random.next() < loss)) return;
    socket.send(datagram, to).catch(() => {}); // lost, as others are
  }

  #run(socket: Deno.DatagramConn, onDatagram: (datagram: Uint8Array, from: Deno.NetAddr) => void): void {
    const run = async () => {
      for await (const [datagram, from] of socket) onDatagram(datagram, from as Deno.NetAddr);
    };
    const running = run().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}

function listen(): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
}
