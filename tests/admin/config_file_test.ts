import assert from "node:assert/strict";
import { join } from "node:path";
import { ConfigFileError, findConfig } from "../../lib/admin/config_file.ts";
import embedded from "../../config.yaml" with { type: "text" };

/** Runs `body` in a directory of its own, which it is told. */
async function inDirectory(body: (path: string) => void): Promise<void> {
  const [before, path] = [Deno.cwd(), await Deno.makeTempDir()];
  Deno.chdir(path);
  try {
    body(path);
  } finally {
    Deno.chdir(before);
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("findConfig() prefers the file that is given, be it there or not", () =>
  inDirectory((path) => {
    Deno.writeTextFileSync("config.yaml", "here");
    const given = findConfig(join(path, "given.yaml"));
    assert.throws(given.read, ConfigFileError);
    Deno.writeTextFileSync("given.yaml", "given");
    assert.equal(given.read(), "given");
    assert.equal(findConfig(undefined).read(), "here");
  }));

Deno.test("findConfig() decides once: a file that goes is missed, and comes back", () =>
  inDirectory(() => {
    Deno.writeTextFileSync("config.yaml", "first");
    const { file, read } = findConfig(undefined);
    assert.equal(file, "config.yaml");
    assert.equal(read(), "first");
    Deno.removeSync("config.yaml");
    assert.throws(read, new ConfigFileError(`Cannot read the configuration ${file}: there is no such file`, file));
    Deno.writeTextFileSync("config.yaml", "second");
    assert.equal(read(), "second");
  }));

Deno.test("findConfig() decides once: the embedded configuration stays, whatever file appears", () =>
  inDirectory(() => {
    const { file, read } = findConfig(undefined);
    assert.equal(file, "config.yaml (embedded)");
    Deno.writeTextFileSync("config.yaml", "late");
    assert.equal(read(), embedded);
  }));
