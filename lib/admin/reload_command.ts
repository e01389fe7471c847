import { type Config, ConfigError } from "../config.ts";
import { formatEndpoint, reasonOf } from "../link/link.ts";
import { reachable } from "./serve.ts";

/** Milliseconds that a reload may take. */
const PATIENCE = 60_000;

/**
 * Has the process that runs by a file reload it, which reads `config` now. With a manager it waits until that is done, and
 * throws `ConfigError` with the faults when it is refused; without one it sends SIGHUP to `pid`, and what comes of it only the
 * log says. Throws when nobody can be reached.
 */
export async function requestReload({ manager, managerToken }: Config, pid: number | undefined): Promise<void> {
  if (!manager) {
    if (pid === undefined) {
      throw new Error("Cannot reload: the file has no manager, and neither --pid nor MAINPID is given");
    }
    return Deno.kill(pid, "SIGHUP");
  }
  const url = `http://${formatEndpoint(reachable(manager))}/reload`;
  const headers: HeadersInit = managerToken === "" ? {} : { authorization: `Bearer ${managerToken}` };
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(url, { method: "POST", headers, signal }).catch((error) => {
    throw new Error(`Cannot reload: the manager at ${url} cannot be reached: ${reasonOf(error)}`);
  });
  const text = await response.text();
  if (response.ok) return;
  if (response.status === 422) throw new ConfigError((JSON.parse(text) as { faults: string[] }).faults);
  throw new Error(`Cannot reload: the manager at ${url} answers ${response.status}: ${text.trim()}`);
}
