import v8 from "node:v8";

const ROUNDS = 9;

/**
 * Bytes that a round of something leaves among the old objects, garbage or not: the median of some rounds, as others do so too at times,
 * and old garbage is collected in between. `run`: does the round of that number; the first are as the compiler sees it.
 */
export function leftBehind(run: (round: number) => void): number {
  for (let round = 0; round < ROUNDS; round++) run(round);
  const left = Array.from({ length: ROUNDS }, (_, i) => {
    const before = used();
    run(ROUNDS + i);
    return used() - before;
  });
  return left.toSorted((a, b) => a - b)[(ROUNDS - 1) / 2]!;
}

function used(): number {
  return v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")!.space_used_size;
}
