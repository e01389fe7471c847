/**
 * Lets whatever else is ready have its turn: ready reads of Deno's would go on within one turn of the event loop for long. Browsers
 * have no such reads.
 */
export function turn(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };
  return new Promise((resolve) => setImmediate ? setImmediate(resolve) : resolve());
}
