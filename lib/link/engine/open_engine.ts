import type { EngineName } from "../../config/engines.ts";
import { reasonOf } from "../link.ts";
import { DenoEngine } from "./deno_engine.ts";
import type { Engine } from "./engine.ts";
import { NativeEngine } from "./native_engine.ts";

/** The engine that was asked for, or Deno's and `why` not that one. It is the caller's to close. */
export function openEngine(wanted: EngineName): { engine: Engine; why?: string } {
  if (wanted === "deno") return { engine: new DenoEngine() };
  const why = obstacle();
  if (why) return { engine: new DenoEngine(), why };
  try {
    return { engine: new NativeEngine() };
  } catch (error) {
    return { engine: new DenoEngine(), why: reasonOf(error) };
  }
}

/** What stands in the way, without trying: a program that may not call foreign functions would ask its user. */
function obstacle(): string | undefined {
  const { os, arch } = Deno.build;
  if (os !== "linux") return `only on Linux, this is ${os}`;
  if (arch !== "x86_64" && arch !== "aarch64") return `only on x86_64 and aarch64, this is ${arch}`;
  // Without a library: of one that is named the addresses cannot be read.
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    return "foreign functions are not allowed (--allow-ffi)";
  }
  return undefined;
}
