import { Goscon } from "./goscon.ts";
import { freePort } from "./free_port.ts";

/** Nodes of slots 0, 1 …, and an edge, of one cluster on this machine. */
export class LocalCluster implements AsyncDisposable {
  readonly ports = [freePort(), freePort()];
  readonly nodes: Goscon[] = [];
  edge!: Goscon;

  static async start(): Promise<LocalCluster> {
    const cluster = new LocalCluster();
    cluster.nodes.push(...await Promise.all(cluster.ports.map((_, slot) => cluster.node(slot))));
    cluster.edge = await Goscon.start(cluster.#config(`role: edge, listen: "127.0.0.1:${freePort()}"`));
    // Of two that started together each may have found the other not there at first.
    for (const goscon of [...cluster.nodes, cluster.edge]) {
      const others = cluster.ports.filter((_, slot) => goscon !== cluster.nodes[slot]);
      for (const port of others) {
        await goscon.event((e) => e.message === "node there" && e.addr === `127.0.0.1:${port}`);
      }
    }
    return cluster;
  }

  /** Starts the node of a slot. */
  async node(slot: number): Promise<Goscon> {
    return await Goscon.start(this.#config(`slot: ${slot}, listen: "127.0.0.1:${this.ports[slot]}"`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const goscon of [...this.nodes, this.edge]) await goscon?.[Symbol.asyncDispose]();
  }

  #config(own: string): string {
    const nodes = this.ports.map((port, slot) => `{slot: ${slot}, addr: "127.0.0.1:${port}"}`).join(", ");
    const hosts = own.startsWith("role") ? "" : `\nhosts: [{addr: "builtin:echo"}]`;
    return `
listen: [{tcp: "127.0.0.1:0"}]
manager: 127.0.0.1:0
shutdown_timeout: 100ms${hosts}
cluster: {name: game, slots: 8, secrets: [a secret of the test], nodes: [${nodes}], ${own}}
`;
  }
}
