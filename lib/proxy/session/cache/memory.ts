const CGROUPS = "/sys/fs/cgroup";

/** Where the memory of a machine is looked up. */
export interface MemorySources {
  /** Bytes that the machine has. */
  total: number;
  /** The text of a file. Throws when there is none. */
  read: (path: string) => string;
}

const SYSTEM = (): MemorySources => ({ total: Deno.systemMemoryInfo().total, read: Deno.readTextFileSync });

/** Bytes of memory that this process may take: what the machine has, or less where a control group of Linux says so. */
export function memoryLimit({ total, read }: MemorySources = SYSTEM()): number {
  const limits = groupsOf(read).map((file) => limitIn(file, read));
  return Math.min(total, ...limits);
}

/** The files that may limit this process, of version 2 and of version 1: those of its group, and of all above. */
function groupsOf(read: MemorySources["read"]): string[] {
  return textOf("/proc/self/cgroup", read).split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === "") return ancestors(path!).map((group) => `${CGROUPS}${group}/memory.max`);
    if (!controllers?.split(",").includes("memory")) return [];
    return ancestors(path!).map((group) => `${CGROUPS}/memory${group}/memory.limit_in_bytes`);
  });
}

/** `/a/b`: `/a/b`, `/a` and the root. In a container a path may be one of outside: then only the root is there. */
function ancestors(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "");
  return [...names.keys(), names.length].map((n) => names.slice(0, n).map((name) => `/${name}`).join(""));
}

function limitIn(file: string, read: MemorySources["read"]): number {
  const text = textOf(file, read).trim();
  return /^\d+$/.test(text) ? Number(text) : Infinity;
}

function textOf(file: string, read: MemorySources["read"]): string {
  try {
    return read(file);
  } catch {
    return ""; // there is no such limit
  }
}
