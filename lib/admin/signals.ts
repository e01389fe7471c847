import { flushLog } from "../log.ts";

const END: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];

/** Calls `onReload` at each SIGHUP, and `onEnd` at the first signal to end; a second one ends the process, with 1, when the log is out: see `flushLog`. */
export function onSignals({ onEnd, onReload }: { onEnd: (signal: Deno.Signal) => void; onReload: () => void }): void {
  let ending = false;
  for (const signal of END) {
    Deno.addSignalListener(signal, () => {
      if (ending) return void flushLog().then(() => Deno.exit(1));
      ending = true;
      onEnd(signal);
    });
  }
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGHUP", onReload);
}
