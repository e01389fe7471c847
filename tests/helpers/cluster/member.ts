import { formatEndpoint } from "../../../lib/link/link.ts";
import { type Event, Goscon } from "../goscon.ts";
import { tcp } from "../raw_client.ts";
import { eventually } from "./waiting.ts";

/** Where a process is, and the ports that it has there, also after it was started again. */
export interface Place {
  hostname: string;
  /** The command that runs it there. */
  by: string[];
  /** For clients, and for peers. */
  clients: number;
  peers: number;
}

/** What the manager wants of who asks. */
export const TOKEN = "what the manager of every member wants";

/** What stands in a configuration file, by its keys. */
export type Keys = Record<string, unknown>;

/** A process of a cluster, which can be killed and started again. */
export class Member implements AsyncDisposable {
  readonly name: string;
  readonly place: Place;
  /** As configured when it starts next. */
  keys: Keys;
  /** By which path the program is called when it starts next: see `Goscon.start`. */
  at: string | undefined;
  /** Which program it is when it starts next; missing: the one under test. */
  release: string[] | undefined;
  #goscon: Goscon | undefined;

  constructor(name: string, place: Place, keys: Keys) {
    this.name = name;
    this.place = place;
    this.keys = keys;
  }

  /** Of the last life. */
  get goscon(): Goscon {
    if (!this.#goscon) throw new Error(`${this.name} was never started`);
    return this.#goscon;
  }

  /** Where clients connect: `host:port`. */
  get address(): string {
    const { hostname, clients: port } = this.place;
    return formatEndpoint({ hostname, port });
  }

  /** Where peers connect. */
  get peerAddress(): string {
    const { hostname, peers: port } = this.place;
    return formatEndpoint({ hostname, port });
  }

  /** Starts it, also when it has ended: settles when it listens. */
  async start(): Promise<void> {
    await this.#goscon?.[Symbol.asyncDispose]();
    this.#goscon = await Goscon.start(textOf(this.keys), {
      by: this.place.by,
      ...(this.at !== undefined && { at: this.at }),
      ...(this.release && { release: this.release }),
    });
  }

  /** Has it go by `keys` from now on. */
  async reload(): Promise<void> {
    const before = this.eventsOf("configuration reloaded").length;
    await this.goscon.rewrite(textOf(this.keys));
    this.goscon.kill("SIGHUP");
    await this.goscon.event(() => this.eventsOf("configuration reloaded").length > before);
  }

  /** Has a new process with these keys take over from it: gives what came of that. */
  // deno-lint-ignore no-explicit-any -- each test looks at what it wants
  async upgrade(keys: Keys = this.keys): Promise<{ status: number; result: any }> {
    await this.goscon.rewrite(textOf(keys));
    const { status, text } = await this.manager("POST", "/upgrade");
    return { status, result: JSON.parse(text) };
  }

  /** At once, as a crash; settles when it is gone, and its sockets: a ring has them for some time longer. */
  async kill(): Promise<void> {
    this.goscon.kill("SIGKILL");
    await this.goscon.ended();
    const isRefused = (address: string) => tcp(address).then((link) => link.close(), () => true);
    for (const address of [this.address, this.peerAddress]) await eventually(() => isRefused(address));
  }

  /** The events of that kind, of this life. */
  eventsOf(message: string): Event[] {
    return this.goscon.events.filter((event) => event.message === message);
  }

  /** Asks the manager. */
  async manager(method: string, path: string): Promise<{ status: number; text: string }> {
    const { url } = await this.goscon.event(({ message }) => message === "manager");
    const response = await fetch(new URL(path, String(url)), { method, headers: { authorization: `Bearer ${TOKEN}` } });
    return { status: response.status, text: await response.text() };
  }

  /** What the manager answers, which is JSON. */
  // deno-lint-ignore no-explicit-any -- tests look at what they expect
  async ask(path: string, method = "GET"): Promise<any> {
    return JSON.parse((await this.manager(method, path)).text);
  }

  /** The sum of a metric over all its labels, or of those that have `label`. */
  async metric(name: string, label = ""): Promise<number> {
    const { text } = await this.manager("GET", "/metrics");
    let sum = 0;
    for (const [, labels = "", value] of text.matchAll(new RegExp(`^${name}(\\{.*\\})? (\\S+)$`, "gm"))) {
      if (labels.includes(label)) sum += Number(value);
    }
    return sum;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#goscon?.[Symbol.asyncDispose]();
  }
}

/** Keys in block style; what each of them has is in flow style, which is JSON. */
function textOf(keys: Keys): string {
  return Object.entries(keys).map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join("\n");
}
