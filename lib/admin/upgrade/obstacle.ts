import type { EngineName } from "../../config/engines.ts";
import type { Invocation } from "./invocation.ts";

/** What runs as process 1 of a container and ends it with the process that it has started. */
const INITS = ["catatonit", "docker-init", "dumb-init", "tini"];

/** Why no process can take over from this one; `undefined`: one can. `io`: how sockets are had. */
export function obstacleTo(
  { io, invocation }: { io: EngineName; invocation: Invocation | undefined },
): string | undefined {
  if (Deno.pid === 1) return "this is process 1, whose end is that of its container: replace the container";
  const init = Deno.ppid === 1 ? nameOfInit() : "";
  if (INITS.includes(init)) return `with the end of this process ${init} ends the container: replace the container`;
  if (Deno.build.os !== "linux") return `sockets can be passed on Linux, and this is ${Deno.build.os}: drain`;
  if (io === "deno") return "sockets are had by Deno (io), which passes none: drain";
  return invocation ? undefined : "it is not known how this process was started";
}

function nameOfInit(): string {
  try {
    return Deno.readTextFileSync("/proc/1/comm").trim();
  } catch {
    return ""; // the system does not tell
  }
}
