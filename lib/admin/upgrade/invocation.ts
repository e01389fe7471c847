import { isAbsolute, resolve } from "node:path";

/** How a process was started: another one can be started in the same way. */
export interface Invocation {
  command: string;
  args: string[];
}

/**
 * How this process was started. To be asked at its start: the executable may be replaced later, and then its path is told no more.
 * `undefined`: the system does not tell.
 */
export function ownInvocation(): Invocation | undefined {
  try {
    const [name = "", ...args] = Deno.readTextFileSync("/proc/self/cmdline").split("\0").slice(0, -1);
    return { command: pathOf(name), args };
  } catch {
    return undefined; // there is no such file
  }
}

/**
 * The path by which the executable was called, if it is by that: a link may lead to another one by the next time. Else where it is.
 */
function pathOf(name: string): string {
  const path = Deno.execPath();
  const dirs = name.includes("/") ? [""] : (Deno.env.get("PATH") ?? "").split(":").filter(isAbsolute);
  const candidates = dirs.map((dir) => dir === "" ? resolve(name) : resolve(dir, name));
  return candidates.find((candidate) => realPathOf(candidate) === path) ?? path;
}

function realPathOf(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined; // there is none
  }
}
