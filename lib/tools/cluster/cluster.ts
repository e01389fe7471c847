import { reasonOf } from "../../link/link.ts";
import { Child } from "./child.ts";
import { LOOPBACK, type Member, membersOf } from "./members.ts";

/** Programs that are Redis, of which the first that there is is taken. */
const REDIS = ["redis-server", "valkey-server"];

export interface ClusterOptions {
  /** The port of the edge on loopback; 0: any. */
  port: number;
  /** How to call goscon. */
  program: readonly string[];
  /** Programs to try for Redis. */
  redis?: readonly string[];
  /** Hears every line of every process. */
  tell: (line: string) => void;
}

/** A member that runs, and how to start it again. */
export type Running = Member & { pid: number; command: readonly string[] };

/** Three nodes, an edge and, where it is installed, Redis, each a process of its own. */
export class LocalCluster implements AsyncDisposable {
  readonly members: Running[] = [];
  /** The port of Redis; missing: there is none, and the nodes are listed in the configurations. */
  redis: number | undefined;
  readonly #options: ClusterOptions;
  readonly #dir = Deno.makeTempDirSync({ prefix: "goscon-cluster-" });
  readonly #children: Child[] = [];

  private constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** Settles when all are ready, and the edge knows a node. Rejects, and leaves nothing, when one cannot be. */
  static async start(options: ClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(options);
    try {
      await cluster.#startAll();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Ends all of them, and removes what they kept. */
  async stop(): Promise<void> {
    const [redis, members] = [this.#children.filter(isRedis), this.#children.filter((child) => !isRedis(child))];
    await Promise.all(members.map((child) => child.stop()));
    await Promise.all(redis.map((child) => child.stop()));
    await Deno.remove(this.#dir, { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #startAll(): Promise<void> {
    this.redis = await this.#startRedis();
    const [edge] = this.#options.port === 0 ? freePorts(1) : [this.#options.port];
    const secret = crypto.randomUUID();
    const plan = { edge: edge!, secret, dir: this.#dir, ports: freePorts };
    const members = membersOf({ ...plan, ...(this.redis !== undefined && { redis: this.redis }) });
    // One that cannot be leaves none behind that is only about to start.
    const started = await Promise.allSettled(members.map((member) => this.#startMember(member)));
    for (const one of started) if (one.status === "rejected") throw one.reason;
  }

  async #startMember(member: Member): Promise<void> {
    const { name, config } = member;
    const file = `${this.#dir}/${name}.yaml`;
    await Deno.writeTextFile(file, config, { mode: 0o600 });
    if (name !== "edge") await Deno.mkdir(`${this.#dir}/${name}`);
    const command = [...this.#options.program, "--config", file];
    const child = this.#spawn(name, command);
    this.members.push({ ...member, pid: child.pid, command });
    await child.says(/ready;/);
    // It has no session to begin by itself.
    if (name === "edge") await child.says(/node there/);
  }

  /** Gives its port, or nothing where it is not installed. */
  async #startRedis(): Promise<number | undefined> {
    const [port] = freePorts(1);
    const options = ["--bind", LOOPBACK, "--port", String(port), "--save", "", "--appendonly", "no"];
    for (const program of this.#options.redis ?? REDIS) {
      try {
        const child = this.#spawn("redis", [program, ...options, "--dir", this.#dir]);
        await child.says(/ready to accept connections/i);
        return port;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        this.#options.tell(`${program}: ${reasonOf(error)}`);
      }
    }
    return undefined;
  }

  #spawn(name: string, command: readonly string[]): Child {
    const child = new Child(name, command, this.#options.tell);
    this.#children.push(child);
    return child;
  }
}

function isRedis({ name }: Child): boolean {
  return name === "redis";
}

/** Ports that are free now, each another one. */
function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: LOOPBACK, port: 0 }));
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}
