import type { Log } from "../log.ts";
import { setDescriptorLimit } from "./libc.ts";

/** How many descriptors this process may have open: at `soft` to open one fails; `soft` it may raise itself, up to `hard`. */
export interface DescriptorLimit {
  soft: number;
  hard: number;
}

/** Where this is not told: not Linux, or not all is allowed, it is `undefined`. */
export function descriptorLimit(): DescriptorLimit | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync("/proc/self/limits");
  } catch {
    return undefined;
  }
  const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(text) ?? [];
  return soft && hard ? { soft: numberOf(soft), hard: numberOf(hard) } : undefined;
}

/** How many descriptors this process has open. Where this is not told it is `undefined`. */
export function openDescriptors(): number | undefined {
  try {
    return [...Deno.readDirSync("/proc/self/fd")].length - 1; // that by which it is told is closed
  } catch {
    return undefined;
  }
}

function numberOf(limit: string): number {
  return limit === "unlimited" ? Infinity : Number(limit);
}

/**
 * Lets this process have as many descriptors open as it may. `deno run` does so itself; an executable of `deno compile` has
 * the soft limit, which is 1,024 most often: it is low for programs that call select. When it cannot be raised the log warns.
 */
export function raiseDescriptorLimit(
  log: Log,
  { read = descriptorLimit, set = setDescriptorLimit }: {
    read?: () => DescriptorLimit | undefined;
    set?: (limit: DescriptorLimit) => boolean;
  } = {},
): void {
  const limit = read();
  if (!limit || limit.soft >= limit.hard || set({ ...limit, soft: limit.hard })) return;
  const { soft, hard } = limit;
  // Each has a descriptor towards its client, and one towards its backend.
  log.warning("the limit of descriptors cannot be raised", { limit: soft, hard, sessions: Math.floor(soft / 2) });
}
