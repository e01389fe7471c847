import { Kcp } from "../../lib/link/kcp/machine/kcp.ts";
import { OPTIONS } from "./kcp_stage.ts";
import type { Random } from "./random.ts";

const TICK = 10;

interface Options {
  random: Random;
  loss: number;
  peer?: Deno.NetAddr;
  onDatagram: (kcp: Kcp) => void;
}

/** A machine on a socket of 127.0.0.1 which loses that part of all datagrams, both ways. */
export class KcpOverUdp implements AsyncDisposable {
  readonly address: Deno.NetAddr;
  /** Made from the first datagram when it was not given where the peer is. */
  kcp: Kcp | undefined;
  readonly #socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  readonly #random: Random;
  readonly #loss: number;
  readonly #onDatagram: (kcp: Kcp) => void;
  readonly #timer = setInterval(() => this.#tick(), TICK);
  #peer: Deno.NetAddr | undefined;
  readonly #running: Promise<void>;

  /** `onDatagram` is called after each that came, and reads and writes. */
  constructor({ random, loss, peer, onDatagram }: Options) {
    this.#random = random;
    this.#loss = loss;
    this.#onDatagram = onDatagram;
    this.#peer = peer;
    this.address = this.#socket.addr as Deno.NetAddr;
    if (peer) this.#begin(random.int(0, 2 ** 32 - 1));
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#socket.close();
    await this.#running;
  }

  #begin(conv: number): Kcp {
    const options = { ...OPTIONS, sendWindow: 2048, receiveWindow: 2048 };
    return this.kcp = new Kcp(conv, options, { epoch: this.#random.int(0, 2 ** 32 - 1) });
  }

  async #run(): Promise<void> {
    for await (const [datagram, from] of this.#socket) {
      if (this.#random.next() < this.#loss) continue;
      this.#peer ??= from as Deno.NetAddr;
      const kcp = this.kcp ?? this.#begin(new DataView(datagram.buffer).getUint32(0, true));
      const verdict = kcp.input(datagram, performance.now(), true);
      if (verdict !== "ok") throw new Error(`a datagram of the peer is "${verdict}"`);
      this.#onDatagram(kcp);
      if (kcp.due <= performance.now()) this.#flush(kcp);
    }
  }

  #tick(): void {
    if (this.kcp && this.kcp.due < performance.now() + TICK) this.#flush(this.kcp);
  }

  #flush(kcp: Kcp): void {
    kcp.flush(performance.now(), (datagram) => {
      if (this.#random.next() < this.#loss) return;
      // One that the system does not take is lost, as others are.
      this.#socket.send(datagram.slice(), this.#peer!).catch(() => {});
    });
  }
}
