import { type Config, formatAddress, type Host } from "../config.ts";
import { Connection } from "../client/connection.ts";
import { dial, type DialOptions, lookUp, type SocketAddress } from "../link/dial.ts";
import { type Link, reasonOf, writeAll } from "../link/link.ts";
import type { Log } from "../log.ts";
import { FLAG_FORBID_ANNOUNCE } from "../scp/mod.ts";
import { announcement, type ClientInfo } from "./announce.ts";
import { EchoLink } from "./echo.ts";

/** A connection to a backend. */
export interface Backend {
  link: Link;
  /** Where it goes, for people. */
  address: string;
}

/** Who wants a backend. */
export interface BackendRequest {
  /** The client's targetServer; may be empty. */
  target: string;
  /** The client's flag. */
  flag: number;
  client: ClientInfo;
  /** Gives the dialling up. */
  signal: AbortSignal;
}

/** What upstreams need of the world. */
export interface UpstreamSeams {
  log: Log;
  /** A number of [0, 1), for the choice by weight. */
  random: () => number;
  /** See `DialOptions`. */
  lookup?: NonNullable<DialOptions["lookup"]>;
}

/** The hosts in the order they are to be tried: each choice is random by weight among those not chosen yet. */
export function* byWeight(hosts: readonly Host[], random: () => number): Generator<Host> {
  const left = [...hosts];
  while (left.length > 0) {
    let point = random() * left.reduce((sum, host) => sum + host.weight, 0);
    // Rounding can leave the point at the very end: then it is the last one.
    const found = left.findIndex((host) => (point -= host.weight) < 0);
    yield* left.splice(found, 1);
  }
}

/** The backends: which one a client gets, and how it is reached. */
export class Upstreams {
  readonly #hosts: readonly Host[];
  readonly #option: Config["upstreamOption"];
  readonly #cacheSize: number;
  readonly #keepAlive: boolean;
  readonly #seams: UpstreamSeams;

  constructor(config: Config, seams: UpstreamSeams) {
    this.#hosts = config.hosts;
    this.#option = config.upstreamOption;
    this.#cacheSize = config.scp.reuseBuffer;
    this.#keepAlive = config.tcpOption.keepalive;
    this.#seams = seams;
  }

  /**
   * Connects to a host of the client's target, and announces the client to it; when that fails, to another of the same
   * group. The caller owns the link. Rejects when none is left, or the dialling is given up.
   */
  async connect(request: BackendRequest): Promise<Backend> {
    for (const host of byWeight(await this.#groupOf(request.target), this.#seams.random)) {
      const address = formatAddress(host.addr);
      try {
        return { link: await this.#reach(host, request), address };
      } catch (error) {
        if (request.signal.aborted) throw error;
        const fields = {
          upstream: address,
          name: host.name,
          session: request.client.sessionId,
          reason: reasonOf(error),
        };
        this.#seams.log.warning("upstream failed", fields);
      }
    }
    throw new Error("no upstream could be reached");
  }

  /** The hosts of that name; or the one that the name resolves to by rule; or all (as goscon has it). */
  async #groupOf(name: string): Promise<readonly Host[]> {
    if (name === "") return this.#hosts;
    const named = this.#hosts.filter((host) => host.name === name);
    if (named.length > 0) return named;
    return await this.#resolve(name) ?? this.#hosts;
  }

  /** `upstream_option.resolv`: the addresses of what the name stands for, when it fits the pattern and the DNS knows it. */
  async #resolve(name: string): Promise<Host[] | undefined> {
    const rule = this.#option.resolv;
    if (!rule || !new RegExp(rule.pattern).test(name)) return undefined;
    const hostname = rule.prefix + name + rule.suffix;
    try {
      const ips = await lookUp(hostname, this.#dialOptions());
      return ips.map((ip) => ({ name, addr: { kind: "tcp", hostname: ip, port: rule.port }, weight: 1 }));
    } catch (error) {
      this.#seams.log.warning("upstream name unknown", { name, hostname, reason: reasonOf(error) });
      return undefined;
    }
  }

  async #reach({ addr }: Host, request: BackendRequest): Promise<Link> {
    if (addr.kind === "builtin") return new EchoLink();
    const link = await this.#open(addr, request);
    try {
      const forbidden = (request.flag & FLAG_FORBID_ANNOUNCE) !== 0;
      const first = announcement(forbidden ? "none" : this.#option.announce, request.client, this.#option.sprotoType);
      if (first.length > 0) await writeAll(link, first);
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  /** Over TCP, or, with `net: scp`, as a client of another SCP proxy, which then is not to tell our address for the client's. */
  #open(address: SocketAddress, { target, flag, client, signal }: BackendRequest): Promise<Link> {
    if (this.#option.net === "tcp") return dial(address, this.#dialOptions(signal));
    const fields = { id: client.sessionId, upstream: formatAddress(address) };
    return Connection.open({
      dial: (signal) => dial(address, this.#dialOptions(signal)),
      target,
      flag: flag | FLAG_FORBID_ANNOUNCE,
      cacheSize: this.#cacheSize,
      handshakeTimeout: this.#option.connectTimeout,
      signal,
      onLost: (reason) => this.#seams.log.info("upstream lost", { ...fields, reason }),
      onResumed: ({ attempts, resent }) => this.#seams.log.info("upstream resumed", { ...fields, attempts, resent }),
    });
  }

  #dialOptions(signal?: AbortSignal): DialOptions {
    const { lookup } = this.#seams;
    return {
      timeout: this.#option.connectTimeout,
      keepAlive: this.#keepAlive,
      ...(signal && { signal }),
      ...(lookup && { lookup }),
    };
  }
}
