/** Removes from coverage/ what a process that was killed could not write to its end: no report can be made of it. */
import { join } from "node:path";
import { ROOT } from "./compiler.ts";

const dir = join(ROOT, "coverage");
for (const { name } of Deno.readDirSync(dir)) {
  try {
    JSON.parse(Deno.readTextFileSync(join(dir, name)));
  } catch {
    Deno.removeSync(join(dir, name));
  }
}
