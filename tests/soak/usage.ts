/** What a process has of the system. */
export interface Usage {
  /** Open files and sockets; `undefined`: this system does not say. */
  descriptors: number | undefined;
  /** Resident memory, in bytes. */
  memory: number;
}

/** Reads what `/proc` says of a process. `undefined`: there is none on this system, or of this process. */
export function usageOf(pid: number): { descriptors: number; memory: number } | undefined {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
    if (kib === undefined) return undefined;
    return { descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length, memory: Number(kib) * 1024 };
  } catch {
    return undefined;
  }
}

export function formatUsage({ descriptors = NaN, memory }: Usage): string {
  return `${descriptors} descriptors, ${mib(memory)}`;
}

/** `12.3 MiB`. */
export function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
