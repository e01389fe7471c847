import type { KcpListen, Listen } from "../../config.ts";
import type { Engine } from "../../link/engine/engine.ts";
import type { DatagramSocket } from "../../link/engine/udp/datagrams.ts";
import { ReedSolomon } from "../../link/kcp/fec/reed_solomon.ts";
import { KcpListening, type KcpListeningOptions } from "../../link/kcp/kcp_listening.ts";
import type { KcpGauges } from "../../link/kcp/kcp_stats.ts";
import { type ClientLink, type Endpoint, formatEndpoint } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import type { Log } from "../../log.ts";
import type { Stats } from "../stats.ts";
import { JunkLog } from "./junk_log.ts";

/** Bytes that one conversation may hold of what its client has not got, and of what its session has not taken. */
const SEND_BYTES = 256 * 1024;
const RECEIVE_BYTES = 256 * 1024;

export interface KcpListenerOptions {
  /** Gets each connection, and owns it, with how its listener speaks. Must not throw. */
  onConnection: (link: ClientLink, listen: Listen) => void;
  engine: Engine;
  /** Which of those is this that have such a listener each. */
  thread: number;
  log: Log;
  stats: Stats;
}

type OnKcp = Listen & { kcp: KcpListen };

/**
 * Takes conversations of KCP on an address of UDP, which it shares with whoever in this process has it. With an engine that cannot
 * share one the first thread has it alone, and the others take what is carried to them.
 */
export class KcpListener {
  readonly address: Endpoint;
  /** Settles when it listens, if it is to. Rejects when the address cannot be had. */
  readonly ready: Promise<void>;
  readonly #options: KcpListenerOptions;
  #listen: OnKcp;
  #listening: KcpListening | undefined;
  #isOpen = true;

  /** `port`: the one to have. */
  constructor(listen: OnKcp, port: number, options: KcpListenerOptions) {
    this.address = { hostname: listen.hostname, port };
    this.#listen = listen;
    this.#options = options;
    this.ready = this.#open();
  }

  /** How it speaks. */
  get listen(): Listen {
    return this.#listen;
  }

  /** Whether it has a socket. */
  get hasSocket(): boolean {
    return this.#listening !== undefined;
  }

  /** Adds what there is now to a sum. */
  addTo(sum: KcpGauges): void {
    this.#listening?.addTo(sum);
  }

  /**
   * Conversations begin from now on, also when it was closed, and go as `listen` says, which is of the same address; FEC stays as it was.
   */
  reconfigure(listen: Listen): void {
    this.#listen = listen as OnKcp;
    this.#setOpen(true);
    if (this.#listening) this.#listening.options = optionsOf(this.#listen.kcp);
  }

  /**
   * No conversation begins, and those that there are live on. So the socket stays, also without any: the system spreads what comes over
   * the sockets of all threads, and with one less what is of one thread's conversation would come to another.
   */
  close(): Promise<void> {
    this.#setOpen(false);
    return Promise.resolve();
  }

  /** Settles when the socket is closed: conversations that are not over are given up. */
  async stop(): Promise<void> {
    this.#setOpen(false);
    await this.ready.catch(() => {});
    await this.#listening?.close();
  }

  #setOpen(isOpen: boolean): void {
    this.#isOpen = isOpen;
    if (this.#listening) this.#listening.isOpen = isOpen;
  }

  async #open(): Promise<void> {
    const { engine, thread, log, stats, onConnection } = this.#options;
    if (thread > 0 && !engine.canShareDatagrams) return;
    const { kcp: { fec, readBuffer, writeBuffer } } = this.#listen;
    const socket = await engine.bindDatagrams(this.address, {
      isShared: true,
      receiveBuffer: readBuffer,
      sendBuffer: writeBuffer,
    });
    // It is the same for all threads.
    if (thread === 0) this.#compareBuffers(socket);
    const junk = new JunkLog(log, formatEndpoint(this.address));
    this.#listening = new KcpListening(socket, {
      ...optionsOf(this.#listen.kcp),
      fec: fec && new ReedSolomon(fec.data, fec.parity),
    }, {
      stats: stats.kcp,
      soon: (callback) => engine.soon(callback),
      onConnection: (link) => onConnection(link, this.#listen),
      onClose: () => stats.closes++,
      onJunk: (cause, peer) => junk.add(cause, peer),
    });
    this.#listening.isOpen = this.#isOpen;
  }

  #compareBuffers({ receiveBuffer, sendBuffer }: DatagramSocket): void {
    const { kcp: { readBuffer, writeBuffer } } = this.#listen;
    const local = formatEndpoint(this.address);
    for (
      const [key, asked, given] of [
        ["net.core.rmem_max", readBuffer, receiveBuffer],
        ["net.core.wmem_max", writeBuffer, sendBuffer],
      ] as const
    ) {
      if (asked === undefined || given === 0 || given >= asked) continue;
      this.#options.log.warning("the system gave a smaller buffer than was asked for", {
        local,
        asked,
        given,
        see: key,
      });
    }
  }
}

function optionsOf(kcp: KcpListen): KcpListeningOptions {
  const { mtu, interval, noDelay: nodelay, resend, congestion, sendWindow, receiveWindow, readTimeout } = kcp;
  const bytes = { sendBytes: SEND_BYTES, receiveBytes: RECEIVE_BYTES };
  return { readTimeout, kcp: { mtu, interval, nodelay, resend, congestion, sendWindow, receiveWindow, ...bytes } };
}

/** A port of UDP that is free on that address: the one that it has, where it asks for one. Throws when it cannot be had. */
export function reserveDatagramPort({ hostname, port }: Endpoint): number {
  const socket = orExplain({ hostname, port }, () => Deno.listenDatagram({ transport: "udp", hostname, port }));
  const { port: had } = socket.addr as Deno.NetAddr;
  socket.close();
  return had;
}
