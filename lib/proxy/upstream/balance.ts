import { scatter } from "../../random.ts";
import type { Balance } from "../../config.ts";
import { hashkey } from "../../scp/mod.ts";
import type { HostState } from "./host_state.ts";

/** Puts hosts in the order in which they are to be tried, for one client. */
export type Order = (hosts: readonly HostState[], client: string) => Iterable<HostState>;

/** The way that `balance` says. `random`: a number of [0, 1). */
export function orderOf(balance: Balance, random: () => number): Order {
  switch (balance) {
    case "random":
      return (hosts) => byWeight(hosts, random);
    case "least_conn":
      return (hosts) => [...byWeight(hosts, random)].sort((a, b) => loadOf(a) - loadOf(b));
    case "round_robin":
      return inTurn;
    case "source":
      return bySource;
  }
}

/** Each choice is random by weight among those not chosen yet. */
export function* byWeight(hosts: readonly HostState[], random: () => number): Generator<HostState> {
  const left = [...hosts];
  while (left.length > 0) {
    let point = random() * left.reduce((sum, { host }) => sum + host.weight, 0);
    // Rounding can leave the point at the very end: then it is the last one.
    const found = left.findIndex(({ host }) => (point -= host.weight) < 0);
    yield* left.splice(found, 1);
  }
}

function loadOf({ sessions, host }: HostState): number {
  return (sessions + 1) / host.weight;
}

/** nginx's smooth round robin: each host earns its weight a turn, the richest is chosen and pays for all. */
function inTurn(hosts: readonly HostState[]): HostState[] {
  for (const state of hosts) state.credit += state.host.weight;
  const order = hosts.toSorted((a, b) => b.credit - a.credit);
  if (order[0]) order[0].credit -= hosts.reduce((sum, { host }) => sum + host.weight, 0);
  return order;
}

/** Rendezvous hashing: a client's host stays the same as long as that host is there, whichever others come and go. */
function bySource(hosts: readonly HostState[], client: string): HostState[] {
  const score = (state: HostState) => {
    const uniform = (mixed(`${client} ${state.address}`) + 1) / (2 ** 32 + 1);
    return -Math.log(uniform) / state.host.weight;
  };
  return hosts.map((state) => ({ state, score: score(state) })).sort((a, b) => a.score - b.score)
    .map(({ state }) => state);
}

/** 32 bits that look random of a text: its hash, with the bits spread. */
function mixed(text: string): number {
  return scatter(Number(hashkey(new TextEncoder().encode(text)) & 0xffffffffn));
}
