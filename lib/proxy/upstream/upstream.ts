import type { Config, Host } from "../../config.ts";
import { Addresses } from "../../link/addresses.ts";
import { systemLookup } from "../../link/dial.ts";
import { type Link, reasonOf } from "../../link/link.ts";
import { shortageOf } from "../../link/shortage.ts";
import { type Order, orderOf } from "./balance.ts";
import { backendsOf, type Group } from "./candidates.ts";
import { Dialler } from "./dialler.ts";
import { HealthCheck } from "./health_check.ts";
import { HostState, type HostStatus, keyOf } from "./host_state.ts";
import type { Slots } from "../host_slots.ts";
import type { ReachSeams, UpstreamSeams } from "../seams.ts";
import { ownHostCells } from "../shared_state.ts";
import { type BackendRequest, dialHost, reach, resolve } from "./reach.ts";
import { Resolver } from "./resolver.ts";
import { ResolvedHosts } from "./resolved_hosts.ts";

/** A connection to a backend. */
export interface Backend {
  link: Link;
  /** Of its host. */
  name: string;
  /** Where it goes, for people. */
  address: string;
  /** To be called when the session is over: the host may get another one for it. */
  release: () => void;
}

/** What is known of a host, for people and machines. */
export interface UpstreamInfo {
  name: string;
  address: string;
  status: HostStatus;
  backup: boolean;
  weight: number;
  sessions: number;
  /** Times that connecting to it failed. */
  failures: number;
}

/** The backends: which one a client gets, and how it is reached. */
export class Upstreams {
  #config!: Config;
  #order!: Order;
  #hosts: HostState[] = [];
  #slots: Slots = new Map();
  readonly #resolved = new ResolvedHosts();
  #check: HealthCheck | undefined;
  readonly #resolver: Resolver;
  readonly #seams: ReachSeams;
  readonly #checks: boolean;

  /** There are none until `reconfigure`. `checks`: whether it is here that hosts are looked at, if they are. */
  constructor(seams: UpstreamSeams, { checks }: { checks: boolean }) {
    const { lookup = systemLookup, now, log } = seams;
    this.#resolver = new Resolver({ lookup, now, log });
    this.#seams = { ...seams, lookup: this.#resolver.lookUp, addresses: new Addresses(seams) };
    this.#checks = checks;
  }

  /** Goes by a configuration from now on. Hosts that stay keep what is known of them; sessions are where they are. */
  reconfigure(config: Config): void {
    const before = this.#hosts;
    const { slots, settled } = this.#seams.assignSlots(new Set(config.hosts.map(keyOf)));
    this.#config = config;
    this.#order = orderOf(config.upstreamOption.balance, this.#seams.random);
    this.#hosts = this.#statesOf(config.hosts, slots);
    this.#slots = slots;
    // Clients for whom another host is being tried may turn to one that is gone: it gets no more sessions.
    const hosts = new Set(this.#hosts);
    for (const state of before) if (!hosts.has(state)) state.host = { ...state.host, drain: true };
    this.#check?.stop();
    this.#startChecks();
    settled();
  }

  /** Ends the checks. */
  stop(): void {
    this.#check?.stop();
  }

  /** Every host of the configuration. */
  list(): UpstreamInfo[] {
    const now = this.#seams.now();
    return this.#hosts.map((state) => ({
      name: state.host.name,
      address: state.address,
      status: state.status(now),
      backup: state.host.backup,
      weight: state.host.weight,
      sessions: state.sessions,
      failures: state.failures,
    }));
  }

  /**
   * Connects to a host of the client's target, and announces the client to it; when that fails, to another of the same
   * group, as it is by then. The caller owns the link. Rejects when none is left, or the dialling is given up.
   */
  async connect(request: BackendRequest): Promise<Backend> {
    const client = request.client.remote.hostname;
    const tried = new Set<HostState>();
    let hosts;
    do {
      hosts = this.#hosts;
      const group = await this.#groupOf(request).catch((error) => {
        if (!request.signal.aborted) this.#seams.stats.upstreamFails++;
        throw error;
      });
      for (const one of backendsOf(group, tried, client, { ...this.#seams, order: this.#order })) {
        const backend = await this.#try(this.#dialler(one, group, tried, request), request);
        if (backend) return backend;
      }
    } while (hosts !== this.#hosts);
    this.#seams.stats.upstreamFails++;
    throw new Error("no upstream could be reached");
  }

  /** A backend to which another process, or thread, has connected: its session counts for the host, where there is such a one here. */
  adopt(name: string, address: string, link: Link): Backend {
    const state = this.#hosts.find((each) => each.host.name === name && each.address === address);
    state?.take();
    return { link, name, address, release: () => state?.end() };
  }

  /** Connects to what is dialled; `undefined`: that has failed, or may not get another session. Rejects when it is given up. */
  async #try(dialler: Dialler, request: BackendRequest): Promise<Backend | undefined> {
    try {
      const started = this.#seams.now();
      const link = await reach(dialler, request, this.#config, this.#seams);
      const state = dialler.chosen!;
      this.#seams.stats.dial.observe((this.#seams.now() - started) / 1000);
      state.succeeded();
      // Not by the dialler, which would hold all that dialling took for as long as the session lives.
      return { link, name: state.host.name, address: state.address, release: () => state.end() };
    } catch (error) {
      if (!request.signal.aborted) dialler.blame(error);
      dialler.release();
      if (request.signal.aborted) throw error;
      return undefined;
    }
  }

  /** Of one backend of a group. Those that fail have been tried. */
  #dialler(hosts: readonly HostState[], group: Group, tried: Set<HostState>, request: BackendRequest): Dialler {
    const config = this.#config;
    return new Dialler(hosts, {
      dial: (state, signal) => dialHost(state, config, this.#seams, signal),
      addresses: this.#seams.addresses,
      onFailure: (state, error) => {
        tried.add(state);
        this.#failed(state, group.hosts, request, error);
      },
    });
  }

  /** Those that are known stay. */
  #statesOf(hosts: readonly Host[], slots: Slots): HostState[] {
    const known = new Map(this.#hosts.map((state) => [keyOf(state.host), state]));
    return hosts.map((host) => {
      const key = keyOf(host);
      const slot = slots.get(key);
      const cells = slot === undefined ? ownHostCells() : this.#seams.shared.host(slot);
      const state = known.get(key);
      if (!state) return new HostState(host, cells);
      known.delete(key);
      if (slot !== this.#slots.get(key)) state.moveTo(cells);
      state.host = host;
      return state;
    });
  }

  #startChecks(): void {
    const { check } = this.#config.upstreamOption;
    if (!check) { for (const state of this.#hosts) state.unchecked(); }
    this.#check = check && this.#checks ? new HealthCheck(check, () => this.#hosts, this.#seams) : undefined;
  }

  /** Unless it is for want of something of ours, the failure counts against the host. */
  #failed(state: HostState, group: readonly HostState[], { client }: BackendRequest, error: unknown): void {
    const reason = reasonOf(error);
    const fields = { upstream: state.address, name: state.host.name, session: client.sessionId, reason };
    const shortage = shortageOf(error);
    if (shortage) return this.#seams.log.error(`out of ${shortage}`, fields);
    const now = this.#seams.now();
    const sameName = group.filter(({ host }) => host.name === state.host.name);
    const out = sameName.filter((other) => other.status(now) === "out").length;
    const outFor = state.failed(now, out + 1 <= sameName.length / 2);
    this.#seams.log.warning("upstream failed", fields);
    if (outFor > 0) this.#seams.log.warning("upstream out", { upstream: state.address, for_ms: outFor });
  }

  /** The hosts of that name; or those that the name resolves to by rule; or, where there is no rule for it, all (as goscon has it). */
  async #groupOf({ target: name, signal }: BackendRequest): Promise<Group> {
    const named = this.#hosts.filter(({ host }) => host.name === name);
    if (name !== "" && named.length > 0) return { hosts: named, ofDns: false };
    const addresses = name === "" ? undefined : await resolve(name, this.#config, this.#seams, this.#resolver, signal);
    return addresses
      ? { hosts: this.#resolved.at(name, addresses), ofDns: true }
      : { hosts: this.#hosts, ofDns: false };
  }
}
