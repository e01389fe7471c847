import { join } from "node:path";
import type { BackendReport } from "./backend.ts";
import type { Failures } from "./failures.ts";
import { linesOf } from "./lines.ts";

/** The process of the backends. */
export class BackendProcess {
  readonly #child: Deno.ChildProcess;
  readonly #failures: Failures;
  readonly #listening = Promise.withResolvers<string[]>();
  #stopping = false;
  /** Bytes that it checked so far. */
  checked = 0;

  private constructor(child: Deno.ChildProcess, failures: Failures) {
    this.#child = child;
    this.#failures = failures;
    void this.#follow();
  }

  /** Starts it: each session begins with `burst` bytes from the backend. `addresses`: where it listens. */
  static async start(
    { burst, failures }: { burst: number; failures: Failures },
  ): Promise<{ backend: BackendProcess; addresses: string[] }> {
    const args = ["run", "-A", "--quiet", join(import.meta.dirname!, "backend.ts"), String(burst)];
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
    const backend = new BackendProcess(child, failures);
    return { backend, addresses: await backend.#listening.promise };
  }

  /** Settles when it has ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#child.stdin.close().catch(() => {}); // it has ended already
    await this.#child.status;
  }

  async #follow(): Promise<void> {
    for await (const line of linesOf(this.#child.stdout)) {
      const { addresses, checked, failure }: BackendReport = JSON.parse(line);
      if (addresses) this.#listening.resolve(addresses);
      if (checked !== undefined) this.checked = checked;
      if (failure && !this.#stopping) this.#failures.add(failure);
    }
    const gone = "the backend's process ended by itself";
    this.#listening.reject(new Error(gone));
    if (!this.#stopping) this.#failures.add(gone);
  }
}
