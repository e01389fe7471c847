import { mock } from "node:test";

/** Time stands still, for timers and for the clock, but for what the test lets pass. */
export function stillTime() {
  mock.timers.enable({ apis: ["setTimeout"] });
  const real = performance.now;
  let now = 0;
  performance.now = () => now;
  return {
    pass: (ms: number) => {
      now += ms;
      mock.timers.tick(ms);
    },
    [Symbol.dispose]: () => {
      performance.now = real;
      mock.timers.reset();
    },
  };
}

/** Runs with `setTimeout` in the hands of the test. */
export async function withTimers(run: () => Promise<void>): Promise<void> {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    await run();
  } finally {
    mock.timers.reset();
  }
}
