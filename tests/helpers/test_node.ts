import { type Config, parseConfig } from "../../lib/config.ts";
import type { Engine } from "../../lib/link/engine/engine.ts";
import { type Endpoint, formatEndpoint, type Via } from "../../lib/link/link.ts";
import { Identities } from "../../lib/proxy/cluster/nodes/identities.ts";
import type { NodeView } from "../../lib/proxy/cluster/nodes/peers.ts";
import type { ListeningState } from "../../lib/proxy/data_plane.ts";
import { Offers } from "../../lib/proxy/cluster/carry/offers.ts";
import { Member } from "../../lib/proxy/cluster/threads/member.ts";
import { type Proxy, startProxy } from "../../lib/proxy/proxy.ts";
import { systemSeams } from "../../lib/proxy/system_seams.ts";
import { testEngine } from "./engine.ts";
import { freePort } from "./free_port.ts";
import { TestLog, TestProxy } from "./proxy.ts";

/** A node of a cluster, or an edge, in this process: one thread, which knows of others what the test tells it. */
export class TestNode implements AsyncDisposable {
  readonly log = new TestLog();
  readonly proxy: Proxy;
  readonly identities: Identities;
  readonly addr: Endpoint;
  readonly #engine: Engine = testEngine();
  readonly #member: Member;
  /** Whom it was told of, to tell that what they carry is closed. */
  readonly #tell: (via: Via) => void;
  readonly config: Config;

  /** `keys`: those of a configuration file, and of its section `cluster`. `slot` missing: an edge. */
  constructor(
    slot: number | undefined,
    { cluster = {}, epoch = 5, tell = () => {}, ...keys }: {
      cluster?: Record<string, unknown>;
      epoch?: number;
      tell?: (via: Via) => void;
      [key: string]: unknown;
    } = {},
  ) {
    this.addr = { hostname: "127.0.0.1", port: freePort() };
    const listen = formatEndpoint(this.addr);
    const role = slot === undefined ? { role: "edge" } : { slot };
    const section = {
      name: "test",
      secrets: ["a secret of the test"],
      listen,
      nodes: [{ slot: slot ?? 0, addr: listen }],
    };
    const file = {
      ...TestProxy.LISTEN,
      hosts: [{ addr: "builtin:echo" }],
      cluster: { ...section, ...role, ...cluster },
      ...keys,
    };
    this.config = parseConfig(JSON.stringify(file), "test.yaml").config;
    const own = slot === undefined ? { role: "edge" as const } : { role: "node" as const, slot, epoch };
    this.identities = new Identities({ instance: `instance-${slot ?? `edge-${this.addr.port}`}`, ...own });
    this.#tell = tell;
    const seams = systemSeams(this.log, this.#engine);
    this.#member = new Member({
      engine: this.#engine,
      log: this.log,
      stats: seams.stats,
      thread: 0,
      peers: [],
      peerListening: undefined,
      secret: "",
      offers: Offers.of(1),
      config: () => this.config,
      identities: this.identities,
      tellThread: () => {},
      tellNode: (via) => this.#tell(via),
      answer: () => Promise.reject(new Error("nothing is answered")),
    });
    this.proxy = startProxy(this.config, { ...seams, cluster: this.#member });
    this.#member.accept((link, read) => this.proxy.takeOver(link, read));
  }

  /** Of the first listener, which is of dialect goscon, and of the second, which is of plain. */
  get address(): string {
    return formatEndpoint(this.proxy.addresses[0]!);
  }

  get plainAddress(): string {
    return formatEndpoint(this.proxy.addresses[1]!);
  }

  /** How it is for others. */
  get view(): NodeView {
    const { instance, slot, epoch } = this.identities.own;
    const known = { instance, slot: slot!, epoch: epoch!, state: "up", since: 0 } as const;
    return { ...known, addr: this.addr, takesNew: true, serves: [], weight: 100 };
  }

  /** It knows of these, and no others. */
  know(views: NodeView[]): void {
    this.#member.views = views;
  }

  /** What it carries is closed at its owner. */
  ownerClosed(number: number): void {
    this.#member.ownerClosed(number);
  }

  /** Where other nodes come in. */
  setListening(state: ListeningState): Promise<void> {
    return this.#member.setListening(state);
  }

  get carrying(): number {
    return this.#member.carrying;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.proxy.stop(), this.#member.stop(100)]);
    await this.#engine.close();
  }
}
