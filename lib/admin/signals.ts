import { flushLog } from "../log.ts";

const END: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];

/** What is done at signals. */
export interface SignalActions {
  /** At the first signal to end. A second one ends the process, with 1, when the log is out: see `flushLog`. */
  onEnd: (signal: Deno.Signal) => void;
  /** At each SIGHUP. Missing: that is a signal to end, as the terminal is gone, unless the process was started not to heed it. */
  onReload?: () => void;
  /** At each SIGUSR2. Missing: it ends the process. */
  onUpgrade?: () => void;
}

/** Heeds signals from now on. To be called once, in the first turn of the process. */
export function onSignals({ onEnd, onReload, onUpgrade }: SignalActions): void {
  const ignoresHangup = keepHangupIgnored();
  let ending = false;
  const end = (signal: Deno.Signal) => {
    ending = true;
    onEnd(signal);
  };
  const exit = () => void flushLog().then(() => Deno.exit(1));
  for (const signal of END) Deno.addSignalListener(signal, () => ending ? exit() : end(signal));
  if (Deno.build.os === "windows") return;
  if (onUpgrade) Deno.addSignalListener("SIGUSR2", onUpgrade);
  if (onReload) Deno.addSignalListener("SIGHUP", onReload);
  // Of a terminal that closes it comes twice, from the system and from the shell: the second is none to end at once.
  else if (!ignoresHangup) Deno.addSignalListener("SIGHUP", () => ending || end("SIGHUP"));
}

/**
 * Goes on to ignore SIGHUP when the process was started so, as nohup does: by itself the runtime forgets that once it has
 * begun to wait. Gives whether it was; where the system does not tell: no. To be called in the first turn of the process.
 */
export function keepHangupIgnored(): boolean {
  const ignored = isHangupIgnored();
  if (ignored) Deno.addSignalListener("SIGHUP", () => {});
  return ignored;
}

function isHangupIgnored(): boolean {
  try {
    const [, mask = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return false; // there is no such file
  }
}
