import type { Addresses } from "../../link/addresses.ts";
import type { Endpoint } from "../../link/link.ts";
import type { Order } from "./balance.ts";
import type { HostState } from "./host_state.ts";

/** What a client may get: hosts of the configuration, or the addresses of a name that the DNS knows. */
export interface Group {
  hosts: readonly HostState[];
  ofDns: boolean;
}

export interface CandidatesOptions {
  order: Order;
  addresses: Addresses;
  now: () => number;
}

/**
 * What to dial next for a client, until it is reached: a host of the configuration alone, of a name of the DNS all of its
 * addresses. Leaves out those that were `tried`, and adds the hosts of the configuration to them; those of the DNS are the
 * caller's to add.
 */
export function* backendsOf(
  { hosts, ofDns }: Group,
  tried: Set<HostState>,
  client: string,
  { order, addresses, now }: CandidatesOptions,
): Generator<readonly HostState[]> {
  const untried = (states: readonly HostState[]) => states.filter((state) => !tried.has(state));
  const candidates = candidatesOf(untried(hosts), client, order, now());
  if (!ofDns) {
    for (const state of candidates) {
      tried.add(state);
      yield [state];
    }
    return;
  }
  let left: readonly HostState[] = addresses.badLast([...candidates], ({ host }) => host.addr as Endpoint);
  for (; left.length > 0; left = untried(left)) yield left;
}

/** Those that are up, then the backups that are up, then, as the last resort, those that are not. */
function* candidatesOf(group: readonly HostState[], client: string, order: Order, now: number): Generator<HostState> {
  const open = group.filter((state) => state.hasRoom);
  const isUp = (state: HostState) => state.status(now) === "up";
  yield* order(open.filter((state) => isUp(state) && !state.host.backup), client);
  yield* order(open.filter((state) => isUp(state) && state.host.backup), client);
  yield* order(open.filter((state) => !isUp(state)), client);
}
