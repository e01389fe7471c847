import { readPair } from "../../lib/admin/config_file.ts";
import { type Config, parseConfig } from "../../lib/config.ts";
import type { Fields, Log } from "../../lib/log.ts";
import { countSessions, type Gauges } from "../../lib/proxy/data_plane.ts";
import { type Proxy, startProxy } from "../../lib/proxy/proxy.ts";
import type { Inherited, Seams } from "../../lib/proxy/seams.ts";
import { systemSeams } from "../../lib/proxy/system_seams.ts";
import type { StatsValues } from "../../lib/proxy/stats.ts";
import { testEngine } from "./engine.ts";
import { formatEndpoint } from "../../lib/link/link.ts";

/** A line of the log. */
export type Event = Fields & { event: string };

/** A log that a test reads. */
export class TestLog implements Log {
  readonly events: Event[] = [];
  readonly #waiting = new Set<() => void>();

  debug = (event: string, fields?: Fields) => this.#add(event, fields);
  info = (event: string, fields?: Fields) => this.#add(event, fields);
  warning = (event: string, fields?: Fields) => this.#add(event, fields);
  error = (event: string, fields?: Fields) => this.#add(event, fields);

  /** Those of one kind. */
  of(event: string): Event[] {
    return this.events.filter((e) => e.event === event);
  }

  /** Waits until there are `count` of that kind; gives the last of these. */
  async nth(event: string, count = 1): Promise<Event> {
    for (;;) {
      const found = this.of(event)[count - 1];
      if (found) return found;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #add(event: string, fields: Fields = {}): void {
    this.events.push({ ...fields, event });
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** A proxy in this process, on a random port, with a log that can be read. */
export class TestProxy implements AsyncDisposable {
  /** What is listened on unless told otherwise: one listener of each dialect. */
  static readonly LISTEN = { listen: [{ tcp: "127.0.0.1:0" }, { tcp: "127.0.0.1:0", dialect: "plain" }] };
  readonly log = new TestLog();
  readonly proxy: Proxy;
  readonly #engine = testEngine();

  private constructor(config: Config, seams: Partial<Seams>, inherited?: Inherited) {
    this.proxy = startProxy(config, { ...systemSeams(this.log, this.#engine), ...seams }, inherited);
  }

  /** `keys`: those of a configuration file. Unless told otherwise there is one listener of each dialect. `inherited`: see `startProxy`. */
  static start(keys: Record<string, unknown>, seams: Partial<Seams> = {}, inherited?: Inherited): TestProxy {
    // JSON is YAML.
    return TestProxy.of(
      parseConfig(JSON.stringify({ ...TestProxy.LISTEN, ...keys }), "test.yaml", readPair).config,
      seams,
      inherited,
    );
  }

  static of(config: Config, seams: Partial<Seams> = {}, inherited?: Inherited): TestProxy {
    return new TestProxy(config, seams, inherited);
  }

  /** Of the first listener, which is of dialect goscon. */
  get address(): string {
    return formatEndpoint(this.proxy.addresses[0]!);
  }

  /** Of the second listener, which is of dialect plain. */
  get plainAddress(): string {
    return formatEndpoint(this.proxy.addresses[1]!);
  }

  /** How much of everything there is now. */
  async gauges(): Promise<Gauges> {
    return (await this.proxy.snapshot()).gauges;
  }

  /** How many sessions there are. */
  async size(): Promise<number> {
    return countSessions(await this.gauges());
  }

  /** What has happened since the start. */
  async stats(): Promise<StatsValues> {
    return (await this.proxy.snapshot()).stats;
  }

  /** Settles when it has ended, and its engine. */
  async stop(): Promise<void> {
    await this.proxy.stop();
    await this.#engine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
