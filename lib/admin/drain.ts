import type { Log } from "../log.ts";
import { countSessions, type DataPlane } from "../proxy/data_plane.ts";

/** Milliseconds between two looks at how many sessions are left. */
const LOOK = 200;
/** Milliseconds between two lines of the log. */
const PROGRESS = 5000;

/**
 * Lets no new session begin, and settles when there is none left or `timeout` milliseconds are over: it is asked for at each
 * look, for a reload may change it. `onProgress` is called every 5 s.
 */
export async function drain(
  dataPlane: DataPlane,
  { log, timeout, onProgress }: { log: Log; timeout: () => number; onProgress: () => void },
): Promise<void> {
  await dataPlane.drain();
  const started = performance.now();
  for (let told = -Infinity;;) {
    const sessions = countSessions((await dataPlane.snapshot()).gauges);
    const elapsed = performance.now() - started;
    if (sessions === 0) return log.info("drained", { after_ms: Math.round(elapsed) });
    if (elapsed >= timeout()) return log.warning("drain_timeout is over", { sessions });
    if (elapsed - told >= PROGRESS) {
      log.info("draining", { sessions, left_ms: Math.round(timeout() - elapsed) });
      onProgress();
      told = elapsed;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}
