import assert from "node:assert/strict";
import { join } from "node:path";

const LINUX = { ignore: Deno.build.os !== "linux" };
const MODULE = new URL("../../../lib/admin/upgrade/invocation.ts", import.meta.url).href;
const PROGRAM = `data:application/typescript,${
  encodeURIComponent(`import { ownInvocation } from "${MODULE}"; console.log(JSON.stringify(ownInvocation()));`)
}`;
const ARGS = ["run", "--quiet", "-A", PROGRAM, "--flag", "an argument", ""];

/** How a process sees that it was started as `command`, which is Deno or leads to it. */
async function seenBy(
  command: string,
  options: Deno.CommandOptions = {},
): Promise<{ command: string; args: string[] }> {
  const { stdout } = await new Deno.Command(command, { ...options, args: ARGS }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test(
  "a process knows the path by which it was called, though that is a link, and its arguments",
  LINUX,
  async () => {
    const dir = await Deno.makeTempDir();
    const link = join(dir, "program");
    await Deno.symlink(Deno.execPath(), link);
    assert.deepEqual(await seenBy(link), { command: link, args: ARGS });
    assert.equal((await seenBy("./program", { cwd: dir })).command, link);
    assert.equal((await seenBy("program", { env: { PATH: `/nowhere:${dir}` } })).command, link);
    await Deno.remove(dir, { recursive: true });
  },
);

Deno.test(
  "a process that was called by another name than its own has the path where its executable is",
  LINUX,
  async () => {
    const command = `exec -a other "$0" "$@"`;
    const { stdout } = await new Deno.Command("bash", { args: ["-c", command, Deno.execPath(), ...ARGS] }).output();
    assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), { command: Deno.execPath(), args: ARGS });
  },
);
