/**
 * Descriptors of this process and what each is; not the one that it takes to tell, nor pairs of Unix sockets, which Deno opens for
 * itself when it likes.
 */
export function ownDescriptors(): Map<number, string> {
  const own = new Map<number, string>();
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      own.set(Number(name), Deno.readLinkSync(`/proc/self/fd/${name}`));
    } catch {
      // That one.
    }
  }
  const pairs = socketPairs();
  return new Map([...own].filter(([, what]) => !pairs.has(what)));
}

/** Unix sockets of the machine that are connected and have no path. */
function socketPairs(): Set<string> {
  const lines = Deno.readTextFileSync("/proc/net/unix").trim().split("\n").slice(1).map((line) => line.split(/\s+/));
  return new Set(
    lines.filter(({ length, 5: state }) => length === 7 && state === "03").map(({ 6: inode }) => `socket:[${inode}]`),
  );
}
