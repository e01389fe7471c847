import { Random } from "../../../helpers/random.ts";
import { runKcp } from "../../../helpers/kcp_run.ts";

const RUNS = 2_000;

Deno.test("two ends give each other all bytes in order over any path, and come to rest, near where numbers wrap as well", () => {
  const random = new Random();
  for (let run = 0; run < RUNS; run++) {
    const seed = run === 0 ? random.seed : random.int(1, 2 ** 32 - 1);
    try {
      runKcp(seed);
    } catch (error) {
      throw new Error(`with GOSCON_SEED=${seed}`, { cause: error });
    }
  }
});
