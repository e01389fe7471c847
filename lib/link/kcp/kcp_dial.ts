import type { ConnectedDatagrams } from "../engine/udp/datagrams.ts";
import { FlowLink } from "../flow_link.ts";
import { type Endpoint, formatEndpoint, reasonOf } from "../link.ts";
import type { ReedSolomon } from "./fec/reed_solomon.ts";
import { KcpFlow } from "./kcp_flow.ts";
import { KcpWatch } from "./kcp_watch.ts";
import type { KcpOptions } from "./machine/options.ts";
import { Ticker } from "./ticker.ts";

/** How a client speaks, as goscon's own does. */
export const CLIENT_KCP: KcpOptions = {
  mtu: 1400,
  interval: 10,
  nodelay: true,
  resend: 2,
  congestion: false,
  sendWindow: 2048,
  receiveWindow: 2048,
  sendBytes: 256 * 1024,
  receiveBytes: 256 * 1024,
};

/** Datagrams from the server that are acknowledged at once: it begins a session when it knows that this end has the answer. */
const EARLY = 4;

export interface KcpDialOptions {
  /** Opens a socket for an IP address. */
  open: (endpoint: Endpoint) => Promise<ConnectedDatagrams>;
  /** Both ends must have the same; missing: none. */
  fec?: ReedSolomon | undefined;
  kcp?: KcpOptions;
  /** Once something has come: milliseconds without an answer after which the link is lost, see `KcpWatch`; 0 or missing: it is not. */
  silence?: number;
  /**
   * Where else the peer may be: each is tried after the one before, when nobody is there, or when nothing has come from there for
   * `patience` milliseconds. Never two at once: a peer at both would see two clients.
   */
  others?: readonly Endpoint[];
  patience?: number;
  /** Called once, when something came from the peer: it is there. */
  onAnswer?: (endpoint: Endpoint) => void;
}

/**
 * Begins a conversation with whoever is at an IP address, which nobody hears of before something is written. The caller owns the link;
 * it is lost when the system says that nobody is there. Rejects with why there is no socket for any of the addresses.
 */
export async function dialKcp(endpoint: Endpoint, options: KcpDialOptions): Promise<FlowLink> {
  const call = new Call([endpoint, ...options.others ?? []], options);
  await call.begin();
  return new FlowLink(call.flow);
}

/** The conversation, and the socket that carries it: at first, maybe, another one for each address. */
class Call {
  readonly flow: KcpFlow;
  readonly #options: KcpDialOptions;
  readonly #left: Endpoint[];
  readonly #failures: string[] = [];
  readonly #ticker = new Ticker((callback) => queueMicrotask(callback));
  #socket: ConnectedDatagrams | undefined;
  #watch: KcpWatch | undefined;
  /** Datagrams that came. */
  #heard = 0;
  #isClosed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(endpoints: Endpoint[], options: KcpDialOptions) {
    this.#left = endpoints;
    this.#options = options;
    const [conv, epoch] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
    this.flow = new KcpFlow({
      ...{ conv, epoch, kcp: options.kcp ?? CLIENT_KCP, fec: options.fec, ticker: this.#ticker },
      send: (datagram) => void this.#socket?.send(datagram, this.#socket.peer),
      onClose: () => this.#close(),
    });
  }

  /** Rejects with why there is no socket for any of the addresses. */
  async begin(): Promise<void> {
    try {
      await this.#goOn();
    } catch (error) {
      this.flow.close();
      throw error;
    }
  }

  /** Turns to the next address for which there is a socket. Rejects with why there was none for any. */
  async #goOn(): Promise<void> {
    this.#leave();
    for (let endpoint; (endpoint = this.#left.shift());) {
      try {
        const socket = await this.#options.open(endpoint);
        return this.#isClosed ? void socket.close() : this.#use(socket, endpoint);
      } catch (error) {
        this.#failures.push(`${formatEndpoint(endpoint)}: ${reasonOf(error)}`);
      }
    }
    throw new Error(this.#failures.join("; "));
  }

  #use(socket: ConnectedDatagrams, endpoint: Endpoint): void {
    const { patience } = this.#options;
    this.#socket = socket;
    socket.onDatagram = (datagram) => {
      if (this.flow.input(datagram) !== "ok" || this.#isClosed) return;
      if (this.#heard++ === 0) this.#answered(endpoint);
      if (this.#heard <= EARLY) this.flow.tick(performance.now());
    };
    socket.onRound = () => this.#ticker.flush();
    socket.onRefused = (error) => this.#failed(endpoint, `nobody is there (${error.message})`);
    if (this.#left.length > 0 && patience !== undefined) {
      this.#timer = setTimeout(() => this.#failed(endpoint, `nothing came within ${patience} ms`), patience);
    }
    this.flow.beginAnew();
  }

  #answered(endpoint: Endpoint): void {
    clearTimeout(this.#timer);
    const { silence } = this.#options;
    if (silence) this.#watch = new KcpWatch(this.flow, silence);
    this.#options.onAnswer?.(endpoint);
  }

  #failed(endpoint: Endpoint, reason: string): void {
    this.#failures.push(`${formatEndpoint(endpoint)}: ${reason}`);
    if (this.#heard > 0) this.flow.lose(this.#failures.at(-1)!);
    else this.#goOn().catch((error) => this.flow.lose(reasonOf(error)));
  }

  /** The socket there is is not wanted any more. */
  #leave(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onRefused = undefined;
    socket.onDatagram = () => {};
    void socket.close();
  }

  #close(): void {
    this.#isClosed = true;
    this.#ticker.stop();
    this.#watch?.stop();
    this.#leave();
  }
}
