import type { Log } from "../log.ts";
import { countSessions, type DataPlane } from "../proxy/data_plane.ts";

/** Milliseconds between two looks at how many sessions are left. */
const LOOK = 200;
/** Milliseconds between two lines of the log. */
const PROGRESS = 5000;

/**
 * Lets no new session begin, and settles when there is none left, and nothing is carried for others, but not before `delay`
 * milliseconds; or when `timeout` are over. Both are asked for at each look, for a reload may change them. `onProgress` is called
 * every 5 s. `isReplaced`: it does not listen any more.
 */
export async function drain(
  dataPlane: DataPlane,
  { log, timeout, delay, onProgress, isReplaced }: {
    log: Log;
    timeout: () => number;
    delay: () => number;
    onProgress: () => void;
    isReplaced: boolean;
  },
): Promise<void> {
  if (!isReplaced) await dataPlane.drain();
  const started = performance.now();
  for (let told = -Infinity;;) {
    const { gauges } = await dataPlane.snapshot();
    const left = { sessions: countSessions(gauges), ...(gauges.carrying > 0 && { carried: gauges.carrying }) };
    const elapsed = performance.now() - started;
    const isDone = left.sessions + gauges.carrying === 0 && elapsed >= delay();
    if (isDone) return log.info("drained", { after_ms: Math.round(elapsed) });
    if (elapsed >= timeout()) return log.warning("drain_timeout is over", left);
    if (elapsed - told >= PROGRESS) {
      log.info("draining", { ...left, left_ms: Math.round(timeout() - elapsed) });
      onProgress();
      told = elapsed;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}
