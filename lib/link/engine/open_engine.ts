import { type EngineName, ENGINES } from "../../config/engines.ts";
import { reasonOf } from "../link.ts";
import { DenoEngine } from "./deno_engine.ts";
import type { Engine } from "./engine.ts";
import { EpollPoller } from "./epoll/epoll_poller.ts";
import { NativeEngine } from "./native_engine.ts";
import { System } from "./system.ts";
import { RingPoller } from "./uring/ring_poller.ts";

/**
 * The engine that was asked for, or the next in their order that works, and `why` not those before it. It is the caller's to
 * close.
 */
export function openEngine(wanted: EngineName): { engine: Engine; why?: string } {
  const names = ENGINES.slice(Math.max(ENGINES.indexOf(wanted), 1)) as Engine["name"][];
  const obstacles: string[] = [];
  for (const name of names) {
    try {
      return { engine: open(name), ...(obstacles.length > 0 && { why: obstacles.join("; ") }) };
    } catch (error) {
      obstacles.push(`no ${name}: ${reasonOf(error)}`);
    }
  }
  throw new Error(obstacles.join("; ")); // Deno's own is always there
}

/** Throws where it cannot be had. */
function open(name: Engine["name"]): Engine {
  if (name === "deno") return new DenoEngine();
  const obstacle = obstacleOf();
  if (obstacle) throw new Error(obstacle);
  const system = System.open();
  return new NativeEngine(name, name === "uring" ? new RingPoller(system) : new EpollPoller(system));
}

/** What stands in the way, without trying: a program that may not call foreign functions would ask its user. */
function obstacleOf(): string | undefined {
  const { os, arch } = Deno.build;
  if (os !== "linux") return `only on Linux, this is ${os}`;
  if (arch !== "x86_64" && arch !== "aarch64") return `only on x86_64 and aarch64, this is ${arch}`;
  // Without a library: of one that is named the addresses cannot be read.
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    return "foreign functions are not allowed (--allow-ffi)";
  }
  return undefined;
}
