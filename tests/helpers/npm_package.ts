import { join } from "node:path";

const BUILD = join(import.meta.dirname!, "..", "..", "lib", "build", "npm");
const CONFIG = ["--config", join(BUILD, "deno.json")];
const SCRIPT = join(BUILD, "npm.ts");

function deno(...args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command(Deno.execPath(), { args }).output();
}

/** Whether there is a bundler: it is a package of its own, which has to come from the registry once. */
export const HAS_BUNDLER = (await deno("cache", "--quiet", ...CONFIG, SCRIPT)).success;
if (!HAS_BUNDLER) console.log("the bundler cannot be had: the tests of the npm package are skipped");

/** Makes the client's npm package where a program in `dir` finds it: the package's directory. */
export async function makePackage(dir: string): Promise<string> {
  const path = join(dir, "node_modules", "goscon-client");
  const { success, stderr } = await deno("run", "-A", "--quiet", ...CONFIG, SCRIPT, path);
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return path;
}
