/** `deno task compile`: makes dist/goscon. Its arguments are flags of deno compile, such as `--target T`. */
import { join } from "node:path";
import { compile, DIST, executable, runTask, targetOf } from "./compiler.ts";

await runTask(async () => {
  const output = join(DIST, executable("goscon", targetOf(Deno.args)));
  await compile(output, Deno.args);
  console.log(output);
});
