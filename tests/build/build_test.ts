import assert from "node:assert/strict";
import { join } from "node:path";
import { checksumLine } from "../../lib/build/checksum.ts";
import { compileArguments, executable, failureOf, ROOT, targetOf } from "../../lib/build/compiler.ts";

Deno.test("compileArguments() passes flags through, before the program, and gives Deno 2.6 what it needs", () => {
  const args = compileArguments("/out", ["--target", "t"], "2.9.6");
  assert.deepEqual(args.slice(-5, -1), ["--target", "t", "--output", "/out"]);
  assert.match(args.at(-1)!, /main\.ts$/);
  assert(!args.includes("--unstable-raw-imports"));
  assert(compileArguments("/out", [], "2.6.8").includes("--unstable-raw-imports"));
});

Deno.test("executable() has the ending that Windows wants", () => {
  assert.equal(executable("goscon", "x86_64-pc-windows-msvc"), "goscon.exe");
  assert.equal(executable("goscon", "aarch64-apple-darwin"), "goscon");
});

Deno.test("targetOf() reads --target in both of its forms", () => {
  assert.equal(targetOf(["--a", "--target", "t"]), "t");
  assert.equal(targetOf(["--target=t", "--b"]), "t");
  assert.equal(targetOf(["--b"]), undefined);
});

Deno.test("failureOf() tells a missing runtime in one sentence, and anything else as it is", () => {
  const unreachable = `error: Writing deno compile executable to temporary file 'x'

Caused by:
    0: Setting up base binary.
    1: error sending request for url (https://host/release/v2.9.6/denort-x86_64-unknown-linux-gnu.zip)`;
  const said = failureOf(unreachable, { version: "2.9.6", target: "x86_64-unknown-linux-gnu" });
  assert.match(said, /^Cannot compile for x86_64-unknown-linux-gnu: .*Deno 2\.9\.6.*DENORT_BIN[^\n]*\.$/);
  assert.equal(failureOf("error: no such flag\n", { version: "2.9.6", target: "t" }), "error: no such flag");
});

Deno.test("checksumLine() is what sha256sum prints", async () => {
  // printf abc | sha256sum
  const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(await checksumLine("name", new TextEncoder().encode("abc")), `${sum}  name\n`);
});

Deno.test("compile.ts says why it failed, and exits with 1", async () => {
  const args = ["run", "-A", "--quiet", join(ROOT, "lib/build/compile.ts"), "--target", "abacus"];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
  assert.equal(code, 1);
  const said = new TextDecoder().decode(stderr);
  assert.match(said, /abacus/);
  assert.doesNotMatch(said, /^\s+at /m);
});
