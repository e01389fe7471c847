import type { Claim, Claimant, Discovery, Found } from "./discovery.ts";
import { claimOwn, type Memory } from "./own_slot.ts";

/** A node, as the configuration has it. */
export interface ListedNode {
  slot: number;
  hostname: string;
  port: number;
}

/** All nodes, and which of them this one is, stand in the configuration. */
export class StaticDiscovery implements Discovery {
  readonly #slot: number | undefined;
  readonly #memory: Memory;
  isPassedOn = false;
  #found: Found[];
  #onChange: (found: readonly Found[]) => void = () => {};

  /** `slot`: of this node. */
  constructor({ slot, nodes, ...memory }: { slot?: number | undefined; nodes: readonly ListedNode[] } & Memory) {
    this.#slot = slot;
    this.#memory = memory;
    this.#found = foundOf(nodes);
  }

  async claim(claimant: Claimant): Promise<Claim> {
    if (this.#slot === undefined) throw new Error("the configuration gives this node no slot: cluster.slot is missing");
    return await claimOwn(this.#slot, claimant, this.#memory);
  }

  goOn(): void {}

  watch(onChange: (found: readonly Found[]) => void): void {
    this.#onChange = onChange;
    onChange(this.#found);
  }

  /** The configuration has other nodes now. */
  reconfigure(nodes: readonly ListedNode[]): void {
    this.#found = foundOf(nodes);
    this.#onChange(this.#found);
  }

  close(): Promise<void> {
    this.#onChange = () => {};
    return Promise.resolve();
  }
}

function foundOf(nodes: readonly ListedNode[]): Found[] {
  return nodes.map(({ slot, hostname, port }) => ({ slot, addr: { hostname, port } }));
}
