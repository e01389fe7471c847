import { type EngineName, ENGINES } from "../../lib/config/engines.ts";
import type { Engine } from "../../lib/link/engine/engine.ts";
import { openEngine } from "../../lib/link/engine/open_engine.ts";
import { RingCalls } from "../../lib/link/engine/uring/ring_calls.ts";
import { DatagramCalls } from "../../lib/link/engine/udp/datagram_calls.ts";
import { System } from "../../lib/link/engine/system.ts";

// Here, as they stay open: a test that opened them would be said to leak them.
if (Deno.build.os === "linux") {
  System.open();
  RingCalls.open();
  DatagramCalls.open();
}

/** Engines by the C library that work here. */
export const NATIVE: EngineName[] = Deno.build.os !== "linux" ? [] : hasRing() ? ["uring", "epoll"] : ["epoll"];

/** Engines that work here. */
export const WORKING: EngineName[] = [...NATIVE, "deno"];

/** Whether there is io_uring: not every kernel has it, or allows it. */
function hasRing(): boolean {
  const { engine } = openEngine("uring");
  void engine.close();
  return engine.name === "uring";
}

/** The engine of the tests whose subject is another: the variable `GOSCON_IO` says which, as `io` of a configuration. */
export function testEngine(): Engine {
  return engineOf(ENGINES.find((name) => name === Deno.env.get("GOSCON_IO")) ?? "auto");
}

/** That engine: not another one in its place; of `auto`, the first that works. It is the caller's to close. */
export function engineOf(name: EngineName): Engine {
  const { engine, why } = openEngine(name);
  if (why !== undefined && name !== "auto") throw new Error(`there is no ${name} here: ${why}`);
  return engine;
}
