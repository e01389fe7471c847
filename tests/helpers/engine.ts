import { type EngineName, ENGINES } from "../../lib/config/engines.ts";
import type { Engine } from "../../lib/link/engine/engine.ts";
import { openEngine } from "../../lib/link/engine/open_engine.ts";
import { System } from "../../lib/link/engine/system.ts";

// Here, as it stays open: a test that opened it would be said to leak it.
if (Deno.build.os === "linux") System.open();

/** Engines that work here. */
export const WORKING: EngineName[] = Deno.build.os === "linux" ? ["epoll", "deno"] : ["deno"];

/** The engine of the tests whose subject is another: the variable `GOSCON_IO` says which, as `io` of a configuration. */
export function testEngine(): Engine {
  return engineOf(ENGINES.find((name) => name === Deno.env.get("GOSCON_IO")) ?? "auto");
}

/** That engine: not another one in its place. It is the caller's to close. */
export function engineOf(name: EngineName): Engine {
  const { engine, why } = openEngine(name);
  if (why !== undefined) throw new Error(`there is no ${name} here: ${why}`);
  return engine;
}
