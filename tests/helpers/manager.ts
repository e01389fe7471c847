import { MANAGER_LISTENING, startManager } from "../../lib/admin/manager/manager.ts";
import { Reloader } from "../../lib/admin/reload.ts";
import { NO_UPGRADES } from "../../lib/admin/upgrade/upgrade_record.ts";
import { parseConfig } from "../../lib/config.ts";
import { type Endpoint, formatEndpoint } from "../../lib/link/link.ts";
import { testEngine } from "./engine.ts";
import { TestProxy } from "./proxy.ts";

/** What a test needs of a configuration. */
export const ECHO = { hosts: [{ name: "one", addr: "builtin:echo" }], shutdown_timeout: "10ms" };

/** A manager of a proxy in this process; what it reads at a reload is `file`, a JSON text. */
export class TestManager implements AsyncDisposable {
  readonly proxy: TestProxy;
  file: string;
  drains = 0;
  upgrades = NO_UPGRADES;
  /** Whether another process has taken over, when that is known. */
  isReplaced: Promise<boolean> = Promise.resolve(false);
  readonly #engine = testEngine();
  readonly #server: ReturnType<typeof startManager>;

  constructor(keys: Record<string, unknown> = {}) {
    this.file = JSON.stringify({ ...TestProxy.LISTEN, ...ECHO, ...keys });
    this.proxy = TestProxy.start({ ...ECHO, ...keys });
    const read = () => parseConfig(this.file, "test.yaml").config;
    const shared = { log: this.proxy.log, dataPlane: this.proxy.proxy };
    const reloader = new Reloader(read(), { ...shared, read: async () => await read(), apply: () => {} });
    this.#server = startManager(this.#engine.listen({ hostname: "127.0.0.1", port: 0 }, MANAGER_LISTENING), {
      ...shared,
      reloader,
      drain: () => this.drains++,
      upgrader: () => ({
        record: this.upgrades,
        isReplaced: () => this.isReplaced,
        upgrade: () => Promise.resolve({ ok: false, refused: true, faults: ["nobody is there"] }),
      }),
    });
  }

  get address(): Endpoint {
    return this.#server.address;
  }

  async ask(
    method: string,
    path: string,
    init: RequestInit = {},
  ): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await fetch(`http://${formatEndpoint(this.address)}${path}`, { ...init, method });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  // deno-lint-ignore no-explicit-any -- what is answered is looked at by each test
  async json(method: string, path: string): Promise<{ status: number; body: any }> {
    const { status, text } = await this.ask(method, path);
    return { status, body: JSON.parse(text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await this.#engine.close();
    await this.proxy[Symbol.asyncDispose]();
  }
}
