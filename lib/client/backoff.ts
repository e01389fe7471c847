/** The shortest and the longest pause between two attempts to resume, in milliseconds. */
const SHORTEST = 50;
const LONGEST = 5000;

/**
 * Milliseconds to wait before an attempt to resume, `attempt` counting from 0: doubling from 50 ms to 5 s, and of that a
 * random part between the half and the whole, so that clients that were cut together do not come back together.
 */
export function backoff(attempt: number, random: () => number): number {
  return Math.min(LONGEST, SHORTEST * 2 ** attempt) * (1 + random()) / 2;
}

/** Whether the signal cut it short. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
