import { runKcp } from "../helpers/kcp_run.ts";
import { Random } from "../helpers/random.ts";

const USAGE =
  `Runs pairs of KCP machines over paths that lose, double, delay and reorder, on a simulated clock, each from a seed
of its own, and checks every byte.

Usage:
  deno task kcp-seeds [count]      default: 100,000

GOSCON_SEED is the first seed. Exit codes: 0; 1 when a run failed: its seed is printed; 2 for bad usage.
`;

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 100_000);
  if (Deno.args.length > 1 || !Number.isInteger(count) || count < 1) {
    console.error(USAGE);
    Deno.exit(2);
  }
  Deno.exit(run(count, new Random().seed));
}

/** The exit code. */
function run(count: number, first: number): number {
  const started = performance.now();
  const [longest, bytes] = [{ ms: 0, seed: first }, { checked: 0 }];
  console.log(`${count} seeds from ${first}`);
  for (let done = 1; done <= count; done++) {
    const seed = (first + done - 1) >>> 0;
    try {
      const result = runKcp(seed);
      bytes.checked += result.bytes;
      if (result.ms > longest.ms) Object.assign(longest, { ms: result.ms, seed });
    } catch (error) {
      console.error(`FAILED with seed ${seed}:`, error);
      return 1;
    }
    if (done % 10_000 === 0) console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${done} seeds`);
  }
  console.log(
    `PASSED: ${bytes.checked} bytes checked, the longest run took ${longest.ms} simulated ms, seed ${longest.seed}`,
  );
  return 0;
}
