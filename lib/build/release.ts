/** `deno task release`: makes an executable for every target, and SHA256SUMS of them, in dist/. */
import { join } from "node:path";
import deno from "../../deno.json" with { type: "json" };
import { checksumLine } from "./checksum.ts";
import { compile, DIST, executable, runTask } from "./compiler.ts";

const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
];

await runTask(async () => {
  const lines: string[] = [];
  for (const target of TARGETS) {
    const name = executable(`goscon-${deno.version}-${target}`, target);
    await compile(join(DIST, name), ["--target", target]);
    lines.push(await checksumLine(name, await Deno.readFile(join(DIST, name))));
    console.log(name);
  }
  await Deno.writeTextFile(join(DIST, "SHA256SUMS"), lines.join(""));
});
