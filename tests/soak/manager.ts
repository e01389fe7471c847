/** The longest that an answer may take, in milliseconds. */
const PATIENCE = 15_000;

/** What the proxy's manager is asked, over HTTP. */
export class Manager {
  readonly #address: string;

  /** `host:port`. */
  constructor(address: string) {
    this.#address = address;
  }

  /** The text of an answer. Rejects, in one sentence, when it is not 200. */
  async ask(method: string, path: string): Promise<string> {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(`http://${this.#address}${path}`, { method, signal });
    const text = await response.text();
    if (response.ok) return text;
    throw new Error(`${method} ${path}: the answer is ${response.status} ${text.trim()}`);
  }

  /** How many sessions the proxy says that it has. */
  async sessions(): Promise<number> {
    return JSON.parse(await this.ask("GET", "/status")).pairs;
  }

  /** Resident memory of the proxy, in bytes. */
  async memory(): Promise<number> {
    const [, bytes] = /^process_resident_memory_bytes (\S+)$/m.exec(await this.ask("GET", "/metrics")) ?? [];
    return Number(bytes);
  }
}
