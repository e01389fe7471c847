import { faultOf } from "../../lib/admin/ask_manager.ts";
import { reasonOf } from "../../lib/link/link.ts";

/** The longest that an answer may take, in milliseconds, which waits for an upgrade that is under way; and that of an upgrade. */
const PATIENCE = 60_000;
const UPGRADE_PATIENCE = 120_000;

/** What the proxy's manager is asked, over HTTP. */
export class Manager {
  readonly #address: string;

  /** `host:port`. */
  constructor(address: string) {
    this.#address = address;
  }

  /** The text of an answer. Rejects, in one sentence, when it is not 200. */
  async ask(method: string, path: string, patience = PATIENCE): Promise<string> {
    const signal = AbortSignal.timeout(patience);
    const response = await fetch(`http://${this.#address}${path}`, { method, signal }).catch((error) => {
      throw new Error(`${method} ${path}: ${faultOf(error)}`);
    });
    const text = await response.text();
    if (response.ok) return text;
    // The runtime leaves sockets alone for seconds when this process has much to do: nothing was asked.
    if (response.status === 408) return await this.ask(method, path, patience);
    throw new Error(`${method} ${path}: the answer is ${response.status} ${text.trim()}`);
  }

  /** Tells the client of a session to move; `false`: it is away, or its session has come to its end. */
  async move(id: number): Promise<boolean> {
    try {
      await this.ask("POST", `/sessions/${id}/move`);
      return true;
    } catch (error) {
      if (/the answer is (404|409)/.test(reasonOf(error))) return false;
      throw error;
    }
  }

  /** Has another process take over: which, and for how many milliseconds sessions stood still. */
  async upgrade(): Promise<{ pid: number; p50_ms: number; p99_ms: number; longest_ms: number }> {
    return JSON.parse(await this.ask("POST", "/upgrade", UPGRADE_PATIENCE));
  }

  /** How often a client could not go on with a session for want of what is not held any more. */
  async notResumable(): Promise<number> {
    const [, count] = /^goscon_resumes_total\{code="406"\} (\S+)$/m.exec(await this.ask("GET", "/metrics")) ?? [];
    return Number(count ?? 0);
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
