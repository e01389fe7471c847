import type { Config } from "../config.ts";
import { askManager } from "./ask_manager.ts";
import { signalProcess } from "./reload_command.ts";
import type { UpgradeDone } from "./upgrade/upgrader.ts";

/** Milliseconds for what comes after the new process is ready. */
const PATIENCE = 600_000;

/**
 * Has the process that runs by a configuration be replaced by a new one. With a manager it waits until that has taken over, and gives how
 * that went; throws with the faults when it has some, and the old one goes on. Without one it sends SIGUSR2 to `pid`, gives
 * nothing, and what comes of it only the log says. Throws when nobody can be reached, or the process refuses.
 */
export async function requestUpgrade(config: Config, pid: number | undefined): Promise<UpgradeDone | undefined> {
  const { manager, managerToken, upgradeTimeout } = config;
  if (!manager) return void signalProcess(pid, "SIGUSR2", "upgrade");
  const patience = upgradeTimeout + PATIENCE;
  const { ok, body } = await askManager({ manager, managerToken }, "/upgrade", { what: "upgrade", patience });
  if (!ok) throw new Error(`Cannot upgrade: ${(body as { faults: string[] }).faults.join("\n")}`);
  return body as UpgradeDone;
}
