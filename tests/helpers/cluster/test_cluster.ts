import { formatEndpoint } from "../../../lib/link/link.ts";
import { Backend, echo } from "../backend.ts";
import { HAS_LANS, Lan } from "./lan.ts";
import { type Keys, Member, type Place, TOKEN } from "./member.ts";

/** What all members say, unless a test says otherwise. */
export const SECRETS = ["a secret that all nodes share"];
export const NAME = "tested";
/** Few, so that ids of each thread come round. */
export const LAYOUT = { slots: 8, threads: 4 };

/** Nobody is away for so long, however busy the machine is with other things. */
const LONG = "1h";

/** Ports of members that have an address of their own. */
const PORTS = { clients: 1248, peers: 1250 };

export interface ClusterPlan {
  nodes: number;
  edges?: number;
  /** Whether each member is a machine, between which networks can be cut, where that can be had. Default true. */
  onLan?: boolean;
  /** Whether the backend echoes by itself; else the test takes its connections. Default true. */
  isServed?: boolean;
  /** Keys of the configuration of each, and of its section `cluster`: as well as, or instead of, what is usual. `slot`: of edges none. */
  keys?: (cluster: TestCluster, slot?: number) => Keys;
  cluster?: (cluster: TestCluster, slot?: number) => Keys;
}

/** Nodes and edges that are real processes, before an echo, each on a machine of its own where that can be had. */
export class TestCluster implements AsyncDisposable {
  readonly lan: Lan | undefined;
  readonly nodes: Member[] = [];
  readonly edges: Member[] = [];
  /** Gives back what it gets. */
  readonly backend: Backend = new Backend("0.0.0.0");
  readonly #stack = new AsyncDisposableStack();

  private constructor(plan: ClusterPlan) {
    this.#stack.use(this.backend);
    if (plan.isServed !== false) this.backend.serve(echo);
    this.lan = HAS_LANS && plan.onLan !== false ? this.#stack.use(new Lan()) : undefined;
    const places = Array.from({ length: plan.nodes + (plan.edges ?? 0) }, () => this.newPlace());
    for (const [i, place] of places.entries()) {
      if (i < plan.nodes) this.nodes.push(new Member(`node ${i}`, place, {}));
      else this.edges.push(new Member(`edge ${i - plan.nodes}`, place, {}));
    }
    for (const [slot, node] of this.nodes.entries()) node.keys = this.keysOf(node.place, plan, slot);
    for (const edge of this.edges) edge.keys = this.keysOf(edge.place, plan);
    for (const member of this.members) this.#stack.use(member);
  }

  /** None of them runs yet. */
  static prepare(plan: ClusterPlan): TestCluster {
    return new TestCluster(plan);
  }

  /** Starts all, and waits until each knows all nodes to be up. */
  static async start(plan: ClusterPlan): Promise<TestCluster> {
    const cluster = new TestCluster(plan);
    try {
      await Promise.all(cluster.members.map((member) => member.start()));
      await Promise.all(cluster.members.map((member) => cluster.knowsAll(member)));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get members(): Member[] {
    return [...this.nodes, ...this.edges];
  }

  /** An address of the tests for members, each of which can be cut from a machine alone: 0, which the backend has, to 2. */
  here(number: number): string {
    return this.lan?.here(number) ?? "127.0.0.1";
  }

  get addresses(): string[] {
    return this.members.map(({ address }) => address);
  }

  /** Settles when that member, with all its threads, knows those nodes to be up; but itself. */
  async knowsAll(member: Member, nodes = this.nodes): Promise<void> {
    for (const node of nodes) {
      if (node !== member) await member.goscon.event((e) => e.message === "node there" && e.addr === node.peerAddress);
    }
    // Threads are told before they are asked for what is in it.
    await member.ask("/status");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Where another process may be. */
  newPlace(): Place {
    const machine = this.lan?.add();
    return machine
      ? { ...machine, ...PORTS }
      : { hostname: "127.0.0.1", by: [], clients: freePort(), peers: freePort() };
  }

  /** What a process there is configured with, as the node of that slot; without one as an edge. */
  keysOf(
    { hostname, clients, peers }: Place,
    { keys, cluster }: Pick<ClusterPlan, "keys" | "cluster">,
    slot?: number,
  ): Keys {
    const address = formatEndpoint({ hostname, port: clients });
    return {
      listen: [{ tcp: address, public: `tcp://${address}` }],
      manager: formatEndpoint({ hostname, port: 0 }),
      manager_token: TOKEN,
      hosts: [{ addr: formatEndpoint({ hostname: this.here(0), port: this.backend.port }) }],
      scp: { reuse_time: LONG, v2: { reuse_time: LONG } },
      cluster: {
        name: NAME,
        ...LAYOUT,
        ...slot === undefined ? { role: "edge" } : { slot },
        nodes: this.nodes.map(({ peerAddress }, slot) => ({ slot, addr: peerAddress })),
        listen: formatEndpoint({ hostname, port: peers }),
        secrets: SECRETS,
        ...cluster?.(this, slot),
      },
      ...keys?.(this, slot),
    };
  }
}

const given = new Set<number>();

/** One that nobody has now. */
function freePort(): number {
  for (;;) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    if (!given.has(port)) return given.add(port), port;
  }
}

/** The slot of the node whose session it is. */
export function slotOf(id: number): number {
  return Math.floor(id / LAYOUT.threads) % LAYOUT.slots;
}
