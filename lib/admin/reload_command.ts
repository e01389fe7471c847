import { type Config, ConfigError } from "../config.ts";
import { askManager } from "./ask_manager.ts";

/** Milliseconds that a reload may take. */
const PATIENCE = 60_000;

/**
 * Has the process that runs by a file reload it, which reads `config` now. With a manager it waits until that is done, and
 * throws `ConfigError` with the faults when it is refused; without one it sends SIGHUP to `pid`, and what comes of it only the
 * log says. Throws when nobody can be reached.
 */
export async function requestReload(config: Config, pid: number | undefined): Promise<void> {
  const { manager, managerToken } = config;
  if (!manager) return signalProcess(pid, "SIGHUP", "reload");
  const { ok, body } = await askManager({ manager, managerToken }, "/reload", { what: "reload", patience: PATIENCE });
  if (!ok) throw new ConfigError((body as { faults: string[] }).faults);
}

/** Sends a signal to a process, as there is no manager to ask. Throws when it is not known, or cannot be reached; `what`: cannot be done. */
export function signalProcess(pid: number | undefined, signal: Deno.Signal, what: string): void {
  if (pid === undefined) {
    throw new Error(`Cannot ${what}: the file has no manager, and neither --pid nor MAINPID is given`);
  }
  Deno.kill(pid, signal);
}
