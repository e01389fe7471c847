/** Does something, and waits for all processes to end that were started meanwhile. */
export async function withChildren(run: () => Promise<void>): Promise<void> {
  const { spawn } = Deno.Command.prototype;
  const children: Promise<unknown>[] = [];
  Deno.Command.prototype.spawn = function () {
    const child = spawn.call(this);
    children.push(child.status);
    return child;
  };
  try {
    await run();
  } finally {
    Deno.Command.prototype.spawn = spawn;
    await Promise.all(children);
  }
}
