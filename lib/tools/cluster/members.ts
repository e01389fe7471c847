import { stringify } from "yaml";

/** Where everything is. */
export const LOOPBACK = "127.0.0.1";

const NODES = 3;

/** A process of the cluster, and the ports at which clients, its peers and operators reach it. */
export interface Member {
  name: string;
  clients: number;
  peers: number;
  manager: number;
  /** What its configuration file says. */
  config: string;
}

export interface ClusterPlan {
  /** Where the edge listens. */
  edge: number;
  /** `count` ports, each another one. */
  ports: (count: number) => number[];
  /** The port of Redis or Valkey, by which nodes find each other; missing: they are listed. */
  redis?: number;
  /** What all of them know. */
  secret: string;
  /** A directory for what they keep. */
  dir: string;
}

/** Three nodes, each with an echo for a backend, and an edge before them. */
export function membersOf(plan: ClusterPlan): Member[] {
  const places = plan.ports(3 * NODES + 2);
  const nodes = Array.from({ length: NODES }, (_, slot) => ({ slot, peers: places[slot]! }));
  const listed = nodes.map(({ slot, peers }) => ({ slot, addr: at(peers) }));
  const found = plan.redis === undefined
    ? { discovery: "static", nodes: listed }
    : { discovery: "redis", redis: { url: `redis://${at(plan.redis)}`, lease: "2s" } };
  const common = { name: "try", ...found, secrets: [plan.secret], drain_delay: "2s" };
  const members = nodes.map(({ slot, peers }): Omit<Member, "config"> & { own: object } => {
    const name = `node${slot + 1}`;
    const own = { ...(plan.redis === undefined && { slot }), state_dir: `${plan.dir}/${name}` };
    return { name, clients: places[NODES + slot]!, peers, manager: places[2 * NODES + slot]!, own };
  });
  const [peers, manager] = places.slice(3 * NODES) as [number, number];
  members.push({ name: "edge", clients: plan.edge, peers, manager, own: { role: "edge" } });
  return members.map(({ own, ...member }) => ({
    ...member,
    config: stringify({
      ...(member.name === "edge" ? { listen: [{ tcp: at(member.clients) }] } : {
        listen: [{ tcp: at(member.clients), public: `tcp://${at(member.clients)}` }],
        hosts: [{ name: "echo", addr: "builtin:echo" }],
      }),
      manager: at(member.manager),
      workers: 1,
      cluster: { ...common, ...own, listen: at(member.peers) },
    }),
  }));
}

function at(port: number): string {
  return `${LOOPBACK}:${port}`;
}
