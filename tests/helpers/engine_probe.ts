/** Prints as JSON which engine is had and why, and how often a library was opened. `deno run engine_probe.ts ENGINE [LIBRARY]` */
import type { EngineName } from "../../lib/config/engines.ts";
import { openEngine } from "../../lib/link/engine/open_engine.ts";

const { dlopen } = Deno;
const [wanted, library] = Deno.args as [EngineName, string?];
let opened = 0;
Deno.dlopen = (name, symbols) => {
  opened++;
  return dlopen(library ?? name, symbols);
};
const { engine, why } = openEngine(wanted);
await engine.close();
console.log(JSON.stringify({ name: engine.name, why, opened }));
