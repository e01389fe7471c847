import type { SocketAddress } from "../../lib/link/dial.ts";
import type { AcceptedLink, Engine, Listening, SocketLink, TcpOptions } from "../../lib/link/engine/engine.ts";
import { SocketLink as DenoLink } from "../../lib/link/tcp.ts";
import { engineOf } from "./engine.ts";
import type { EngineName } from "../../lib/config/engines.ts";

export const FAMILIES = ["IPv4", "IPv6", "Unix"] as const;
export type Family = (typeof FAMILIES)[number];

const HOSTS = { IPv4: "127.0.0.1", IPv6: "::1" };

/** An engine that listens, and whose connections a test takes one by one: on a Unix socket it is Deno that listens. */
export class Stage implements AsyncDisposable {
  readonly engine: Engine;
  readonly address: SocketAddress;
  readonly failures: { reason: string; retry_ms: number }[] = [];
  readonly #accept: () => Promise<SocketLink>;
  readonly #dispose: () => Promise<void>;
  readonly #links: SocketLink[] = [];

  private constructor(
    engine: Engine,
    address: SocketAddress,
    { accept, dispose }: { accept: () => Promise<SocketLink>; dispose: () => Promise<void> },
  ) {
    this.engine = engine;
    this.address = address;
    this.#accept = accept;
    this.#dispose = dispose;
  }

  /** Nothing is accepted before the first `accept`: until then clients wait in the queue. */
  static open(name: EngineName, family: Family = "IPv4", tcp: TcpOptions = {}): Stage {
    const engine = engineOf(name);
    if (family === "Unix") return Stage.#onUnix(engine);
    const options = { backlog: 128, isShared: false, tcp };
    const listening = engine.listen({ hostname: HOSTS[family], port: 0 }, options);
    const queue = new Queue();
    let isAccepting = false;
    const stage: Stage = new Stage(engine, { kind: "tcp", ...listening.address }, {
      accept: () => {
        if (!isAccepting) queue.acceptAll(listening, stage.failures);
        isAccepting = true;
        return queue.next();
      },
      dispose: () => listening.close(),
    });
    return stage;
  }

  static #onUnix(engine: Engine): Stage {
    const dir = Deno.makeTempDirSync();
    const path = `${dir}/socket`;
    const listener = Deno.listen({ transport: "unix", path });
    return new Stage(engine, { kind: "unix", path }, {
      accept: async () => new DenoLink(await listener.accept()),
      dispose: () => {
        listener.close();
        return Deno.remove(dir, { recursive: true });
      },
    });
  }

  /** The next connection that was made to it; the stage closes it at the end. */
  async accept(): Promise<SocketLink> {
    return this.#keep(await this.#accept());
  }

  /** Connects to it; the stage closes the link at the end. */
  async connect(): Promise<SocketLink> {
    return this.#keep(await this.engine.connect(this.address, {}));
  }

  /** The two ends of a connection. */
  async pair(): Promise<[near: SocketLink, far: SocketLink]> {
    const far = this.accept();
    return [await this.connect(), await far];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links) link.close();
    await this.#dispose();
    await this.engine.close();
  }

  #keep(link: SocketLink): SocketLink {
    this.#links.push(link);
    return link;
  }
}

/** Connections, in the order in which they came. */
class Queue {
  readonly #links: AcceptedLink[] = [];
  readonly #takers: ((link: AcceptedLink) => void)[] = [];

  acceptAll(listening: Listening, failures: { reason: string; retry_ms: number }[]): void {
    listening.accept({
      onConnection: (link) => {
        const take = this.#takers.shift();
        if (take) take(link);
        else this.#links.push(link);
      },
      onFailure: (failure) => failures.push(failure),
    });
  }

  next(): Promise<AcceptedLink> {
    const link = this.#links.shift();
    return link ? Promise.resolve(link) : new Promise((resolve) => this.#takers.push(resolve));
  }
}
