/** Descriptors of this process and what each is, but for the one that it takes to tell. */
export function ownDescriptors(): Map<number, string> {
  const own = new Map<number, string>();
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      own.set(Number(name), Deno.readLinkSync(`/proc/self/fd/${name}`));
    } catch {
      // That one.
    }
  }
  return own;
}
