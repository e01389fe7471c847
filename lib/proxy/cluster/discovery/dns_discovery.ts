import { lookUp } from "../../../link/dial.ts";
import { reasonOf } from "../../../link/link.ts";
import { sleep } from "../../../link/sleep.ts";
import type { Log } from "../../../log.ts";
import { isUnknownName } from "../../upstream/resolver.ts";
import type { Claim, Claimant, Discovery, Found } from "./discovery.ts";
import { Kept } from "./kept.ts";
import { claimOwn, type Memory } from "./own_slot.ts";

/** Milliseconds from one look at the service to the next, and the longest for which its nodes are not looked up by their names. */
const PAUSE = 5000;
const LONGEST = 60_000;
/** Names that are looked up at once: see `Resolver`. */
const AT_ONCE = 4;
/** Milliseconds for a name. */
const PATIENCE = 5000;
/** After how many scans in a row that found too few it is told. */
const MOST_INCOMPLETE = 4;

export interface DnsOptions extends Memory {
  role: "node" | "edge";
  /** The name that stands for the addresses of all nodes, and the port at which each of them is. */
  service: string;
  port: number;
  slots: number;
  /** Of this machine. */
  hostname: string;
  /** Milliseconds for which an address that is gone is kept: a session may live so long in a node that is going. */
  keep: number;
  /** The IP addresses of a name. */
  lookup: (hostname: string) => Promise<string[]>;
  /** Milliseconds, from any start. */
  now: () => number;
  log: Log;
}

/**
 * The node of a slot is `NAME-SLOT.service`, as a StatefulSet of Kubernetes and its headless Service have it. A node has NAME and its
 * slot from the name of its host; to an edge, which is of another set, NAME is the first label of the service.
 *
 * The service is looked up every few seconds: it has the addresses of all nodes. Whose they are, their names tell: when others are
 * there, and each minute, those of the slots from 0 on are looked up, until each address has its slot. So where nothing changes one
 * name is looked up, however many slots there are, and gaps do no harm.
 */
export class DnsDiscovery implements Discovery {
  isPassedOn = false;
  readonly #options: DnsOptions;
  readonly #abort = new AbortController();
  /** What each slot's name stood for. */
  #places = new Map<number, Found>();
  /** The addresses of the service when the names were looked up, when that is to be done again, and how often it found too few. */
  #addresses: string | undefined;
  #due = 0;
  #incomplete = 0;
  #isFailing = false;
  #watching: Promise<void> | undefined;

  constructor(options: DnsOptions) {
    this.#options = options;
  }

  async claim(claimant: Claimant): Promise<Claim> {
    const { hostname, slots } = this.#options;
    const ordinal = splitHost(hostname)?.ordinal;
    const what = `the slot is the number at the end of the host's name, as in NAME-3, below ${slots}`;
    if (ordinal === undefined) throw new Error(`${what}; the host is ${JSON.stringify(hostname)}`);
    if (ordinal >= slots) throw new Error(`${what} (cluster.slots); the host is ${JSON.stringify(hostname)}`);
    return await claimOwn(ordinal, claimant, this.#options);
  }

  goOn(): void {}

  watch(onChange: (found: readonly Found[]) => void, known?: readonly Found[]): void {
    const { keep, now } = this.#options;
    const kept = new Kept({ keep, now, onChange });
    if (known) kept.see(known);
    this.#watching = this.#watch(kept);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#watching;
  }

  async #watch(kept: Kept): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const isKnown = await this.#look();
      if (signal.aborted) return;
      if (isKnown) kept.see([...this.#places.values()]);
      await sleep(PAUSE, signal);
    }
  }

  /** Gives whether it is known who is there. While the DNS fails it is not, and all stays as it was. */
  async #look(): Promise<boolean> {
    const { service, now } = this.#options;
    try {
      const addresses = await this.#lookUp(service);
      const key = addresses.toSorted().join();
      if (key !== this.#addresses || now() >= this.#due) {
        await this.#scan(new Set(addresses));
        this.#addresses = key;
      }
      this.#isFailing = false;
      return true;
    } catch (error) {
      if (!this.#isFailing && !this.#abort.signal.aborted) {
        this.#options.log.warning("nodes not looked up", { service, reason: reasonOf(error) });
      }
      this.#isFailing = true;
      return false;
    }
  }

  /** Looks the names of slots up until each address has one. Rejects when a look-up fails. */
  async #scan(addresses: Set<string>): Promise<void> {
    const { slots, now, service, log } = this.#options;
    const places = new Map<number, Found>();
    const left = new Set(addresses);
    for (let first = 0; first < slots && left.size > 0; first += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, slots - first) }, (_, i) => first + i);
      for (const { found, ips } of await Promise.all(some.map((slot) => this.#find(slot)))) {
        if (found) places.set(found.slot, found);
        for (const ip of ips) left.delete(ip);
      }
    }
    // Of one that has just come the name may be known to be unknown for a while yet; of one that is no node there is none.
    this.#incomplete = left.size > 0 ? this.#incomplete + 1 : 0;
    this.#due = now() + (left.size > 0 ? Math.min(LONGEST, PAUSE * 2 ** (this.#incomplete - 1)) : LONGEST);
    if (this.#incomplete === MOST_INCOMPLETE) {
      log.warning("addresses of no node", { service, addresses: [...left].join(), names: this.#nameOf("SLOT") });
    }
    this.#places = places;
  }

  async #find(slot: number): Promise<{ found?: Found; ips: string[] }> {
    const ips = await this.#lookUp(this.#nameOf(slot));
    const before = this.#places.get(slot)?.addr.hostname;
    // Of several the order may change.
    const hostname = before !== undefined && ips.includes(before) ? before : ips[0];
    return { ips, ...(hostname !== undefined && { found: { slot, addr: { hostname, port: this.#options.port } } }) };
  }

  #nameOf(slot: number | "SLOT"): string {
    const { role, hostname, service } = this.#options;
    const name = role === "node" ? splitHost(hostname)?.name : undefined;
    return `${name ?? service.split(".")[0]}-${slot}.${service}`;
  }

  /** None when there is no such name. */
  async #lookUp(name: string): Promise<string[]> {
    try {
      const { lookup } = this.#options;
      return await lookUp(name, { lookup, timeout: PATIENCE, signal: this.#abort.signal });
    } catch (error) {
      if (isUnknownName(error)) return [];
      throw error;
    }
  }
}

/** NAME and ordinal of a host `NAME-ORDINAL`, which may have a domain. */
function splitHost(hostname: string): { name: string; ordinal: number } | undefined {
  const [, name, ordinal] = /^([^.]+)-(0|[1-9]\d{0,8})(?:\..*)?$/.exec(hostname) ?? [];
  return name === undefined ? undefined : { name, ordinal: Number(ordinal) };
}
