import assert from "node:assert/strict";
import { join } from "node:path";
import { NATIVE } from "../../../helpers/engine.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const CHILD = join(import.meta.dirname!, "..", "..", "..", "helpers", "refusing_child.ts");
const [EPERM, ENOSYS] = [1, 38];

/** What a process came to in which io_uring fails so. */
async function resultOf(
  errno: number,
  { user = "root", limits = "true" } = {},
): Promise<{ name: string; why?: string }> {
  const command = `${limits} && exec "$@"`;
  const args = ["-c", command, "sh", Deno.execPath(), "run", "-A", "--quiet", CHILD, String(errno), user];
  const { code, signal, stdout, stderr } = await new Deno.Command("sh", { args, env: { NO_COLOR: "1" } }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, `signal ${signal}: ${err}`);
  return JSON.parse(out!);
}

for (
  const [errno, text] of [[EPERM, "Operation not permitted (os error 1)"], [
    ENOSYS,
    "Function not implemented (os error 38)",
  ]] as const
) {
  Deno.test(
    `where io_uring is refused by a filter with error ${errno}, epoll is had, and why is told`,
    LINUX,
    async () => {
      assert.deepEqual(await resultOf(errno), { name: "epoll", why: `no uring: io_uring_setup: ${text}` });
    },
  );
}

Deno.test("whatever memory may be locked, an engine of the C library is had that works", LINUX, async () => {
  for (const user of ["root", "stranger"]) {
    const { name, why } = await resultOf(0, { user, limits: "ulimit -l 0" });
    assert(name === NATIVE[0] || (name === "epoll" && /^no uring: /.test(why!)), `${name}: ${why}`);
  }
});
