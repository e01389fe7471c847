export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(ms, 0)));
}

/** Looks at `isSo` again and again: whether it came to be so within `ms`. */
export async function comesTrue(isSo: () => boolean | Promise<boolean>, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (!await isSo()) {
    if (performance.now() >= deadline) return false;
    await sleep(200);
  }
  return true;
}
