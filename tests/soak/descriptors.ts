import { join } from "node:path";

/** Set in a process that has raised its limit already. */
const RAISED = "GOSCON_SOAK_RAISED";

/** The most files and sockets that one process of a run has open: of each session two, some of them abandoned. */
export function descriptorsFor(sessions: number): number {
  return 3 * sessions + 500;
}

/** Of this process, which its children inherit: the limit in effect and the one that it may be raised to. */
export async function descriptorLimits(): Promise<{ soft: number; hard: number }> {
  if (Deno.build.os === "windows") return { soft: Infinity, hard: Infinity };
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "ulimit -Sn; ulimit -Hn"] }).output();
  const [soft = Infinity, hard = Infinity] = new TextDecoder().decode(stdout).trim().split("\n")
    .map((text) => text === "unlimited" ? Infinity : Number(text));
  return { soft, hard };
}

/**
 * Sees to it that `needed` descriptors may be open, if need be by running this program again with the limit raised: then
 * gives its exit code, with which to end. `undefined`: go on. Throws, in one sentence, when the system does not allow it.
 */
export async function raiseDescriptors(needed: number): Promise<number | undefined> {
  const { soft, hard } = await descriptorLimits();
  if (soft >= needed) return undefined;
  if (hard < needed || Deno.env.get(RAISED)) {
    const sessions = Math.floor((Math.min(soft, hard) - 500) / 3);
    throw new Error(
      `too few descriptors: ${needed} are needed, and \`ulimit -n\` allows ${hard < needed ? hard : soft}; ` +
        `raise it, or try --sessions ${Math.max(2, sessions)}`,
    );
  }
  const again = [Deno.execPath(), "run", "-A", "--quiet", join(import.meta.dirname!, "soak.ts"), ...Deno.args];
  const raise = 'ulimit -n "$(ulimit -Hn)" && exec "$@"';
  const child = new Deno.Command("sh", { args: ["-c", raise, "sh", ...again], env: { [RAISED]: "1" } }).spawn();
  return (await child.status).code;
}
