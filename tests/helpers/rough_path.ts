import { type Event, Goscon } from "./goscon.ts";
import { Random } from "./random.ts";

export interface RoughPathOptions {
  /** Where it ends, as the `addr` of a host in a configuration. */
  backend: string;
  /** As `scp.reuse_buffer`. */
  reuseBuffer: string;
  /** How the relay in the middle hurts: its flags. */
  flaky: string[];
  /** More flags of the bridge. */
  bridge?: string[];
}

/** A path to a backend of three real processes: `goscon bridge`, `goscon flaky` and a proxy, in this order. */
export class RoughPath implements AsyncDisposable {
  readonly proxy: Goscon;
  readonly bridge: Goscon;
  /** Where a program connects: `host:port`. */
  readonly address: string;
  /** Of the relay's chance. */
  readonly seed: number;
  readonly #stack: AsyncDisposableStack;

  private constructor(proxy: Goscon, bridge: Goscon, address: string, seed: number, stack: AsyncDisposableStack) {
    this.proxy = proxy;
    this.bridge = bridge;
    this.address = address;
    this.seed = seed;
    this.#stack = stack;
  }

  /** Starts all three, each once the one behind it listens. */
  static async start({ backend, reuseBuffer, flaky, bridge: flags = [] }: RoughPathOptions): Promise<RoughPath> {
    await using stack = new AsyncDisposableStack();
    const proxy = stack.use(
      await Goscon.start(`
        listen: [{tcp: "127.0.0.1:0"}]
        hosts: [{addr: "${backend}"}]
        scp: {reuse_buffer: ${reuseBuffer}}
      `),
    );
    const at = ["--listen", "127.0.0.1:0", "--connect"];
    const { seed } = new Random();
    const relay = stack.use(Goscon.spawn(["flaky", ...at, proxy.addresses[0]!, ...flaky, "--seed", `${seed}`]));
    const { message } = await relay.event((e) => e.message.includes("listening on"));
    const hurting = /listening on (\S+),/.exec(message)![1]!;
    const bridge = stack.use(Goscon.spawn(["bridge", ...at, hurting, "--log-format", "json", ...flags]));
    const { address } = await bridge.event((e) => e.message === "bridge listening");
    return new RoughPath(proxy, bridge, String(address), seed, stack.move());
  }

  get port(): string {
    return this.address.split(":")[1]!;
  }

  /** How often a session went on over another connection. */
  get resumes(): number {
    return this.#told("resumed").length;
  }

  /** How many sessions were begun: one for each connection of a program. */
  get sessions(): number {
    return this.#told("begun").length;
  }

  /** The version that each of these speaks. */
  get versions(): unknown[] {
    return this.#told("begun").map(({ version }) => version);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  #told(what: string): Event[] {
    return this.bridge.events.filter((e) => e.message === `bridge session ${what}`);
  }
}
