import { createSecureContext, type SecureContext } from "node:tls";
import type { Listen } from "../../config.ts";
import { carrierOf } from "../../link/carrier.ts";
import type { AcceptedLink, Engine, TcpOptions } from "../../link/engine/engine.ts";
import { Listenings, type ListeningsOptions } from "../../link/engine/listenings.ts";
import type { Descriptors } from "../../link/engine/passing/descriptors.ts";
import { bindablePort } from "../../link/libc.ts";
import { type ClientLink, type Endpoint, formatEndpoint } from "../../link/link.ts";
import { orExplain } from "../../link/listen.ts";
import { TlsLink } from "../../link/tls.ts";
import type { Log } from "../../log.ts";
import { reserveDatagramPort } from "./kcp/kcp_listener.ts";
import { Networks } from "./networks.ts";
import type { Stats } from "../stats.ts";
import { Upgrade } from "./upgrade.ts";

export interface ListenerOptions extends ListeningsOptions {
  /** Gets each connection, and owns it, with how its listener speaks. Must not throw. */
  onConnection: (link: ClientLink, listen: Listen) => void;
  engine: Engine;
  log: Log;
  stats: Stats;
}

/**
 * Accepts connections on an address, which it shares with whoever in this process has it: each thread has a listener of its own.
 * Strangers are kept away by `reservePort`.
 *
 * TLS and WebSockets are by Node's interface. A TLS connection of Deno's own cannot be closed while its handshake is under way,
 * so silent clients would hold descriptors for as long as they like, nor can its certificate be changed; and a WebSocket of
 * Deno's own reads on whether anybody takes what it read or not. But what accepts is the engine: a listener of Node's that was
 * out of descriptors once accepts nothing any more.
 */
export class Listener {
  readonly address: Endpoint;
  /** It listens as soon as it is made. */
  readonly ready: Promise<void> = Promise.resolve();
  readonly #options: ListenerOptions;
  readonly #listenings: Listenings;
  /** Made when a connection wants it: most listeners have no WebSockets. */
  #upgrade: Upgrade | undefined;
  #listen!: Listen;
  #context: SecureContext | undefined;
  #trusted!: Networks;
  /** Of all its connections: each is not to have one of its own. */
  readonly #onClose: () => void;

  /** Has an address from now on, where clients wait to be accepted. `port`: the one to have. Throws when it cannot be had. */
  constructor(listen: Listen, port: number, options: ListenerOptions) {
    this.address = { hostname: listen.hostname, port };
    this.#options = options;
    const { engine, backlog, tcp, descriptors, stats } = options;
    this.#onClose = () => stats.closes++;
    this.#listenings = new Listenings(engine, this.address, { backlog, tcp, descriptors });
    this.reconfigure(listen, tcp);
  }

  /** How it speaks. */
  get listen(): Listen {
    return this.#listen;
  }

  /** Speaks from now on as `listen` says, which is of the same address; new connections are tuned as `tcp` says. */
  reconfigure(listen: Listen, tcp: TcpOptions): void {
    this.#listenings.tcp = tcp;
    this.#listen = listen;
    this.#context = listen.tls && createSecureContext(listen.tls);
    this.#trusted = new Networks(listen.trusted);
  }

  /** Starts to accept; after `pause`, again. */
  accept(): void {
    const { stats, log, onConnection } = this.#options;
    this.#listenings.accept({
      onConnection: (link) => onConnection(this.#link(link), this.#listen),
      onFailure: (failure) => {
        stats.acceptFails++;
        log.error("accept failed", { local: formatEndpoint(this.address), ...failure });
      },
    });
  }

  /** Lets clients wait. */
  pause(): void {
    this.#listenings.pause();
  }

  /** Descriptors of its sockets, which belong to `owner` as they are made. Throws where the engine has none to give. */
  duplicate(owner: Descriptors): number[] {
    return this.#listenings.duplicate(owner);
  }

  /** Connections accepted before live on. Settles when the address is free again. */
  close(): Promise<void> {
    return this.#listenings.close();
  }

  #link(link: AcceptedLink): ClientLink {
    const { webSocket } = this.#listen;
    if (!webSocket && !this.#context) {
      link.onClose = this.#onClose;
      return link;
    }
    const carrier = carrierOf(link, this.#context);
    if (!webSocket) return new TlsLink(carrier, this.#onClose);
    this.#upgrade ??= new Upgrade();
    return this.#upgrade.take(carrier, webSocket, this.#trusted, this.#onClose);
  }
}

/** Whether two configurations of a listener mean one address. */
export function isSameAddress(a: Listen, b: Listen): boolean {
  return a.hostname === b.hostname && isSamePort(a, b);
}

/** Whether two listeners have one port: TCP and UDP have ports of their own. */
export function isSamePort(a: { port: number; kcp?: unknown }, b: { port: number; kcp?: unknown }): boolean {
  return a.port === b.port && Boolean(a.kcp) === Boolean(b.kcp);
}

/** The port of a listener's address that is free: see `reservePort`. */
export function reservePortOf(listen: Listen): number {
  return listen.kcp ? reserveDatagramPort(listen) : reservePort(listen);
}

/**
 * The port of an address that is free, which is another one when it asks for any. Throws when it cannot be had. Where it has
 * to listen to tell, a client that comes at that moment is reset.
 */
export function reservePort({ hostname, port }: Endpoint): number {
  const bindable = bindablePort({ hostname, port });
  if (bindable !== undefined) return bindable;
  const listener = orExplain({ hostname, port }, () => Deno.listen({ hostname, port }));
  listener.close();
  return listener.addr.port;
}
