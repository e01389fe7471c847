import { ScpError } from "../../scp/mod.ts";
import type { Refusal, Stats } from "../stats.ts";

/** One that may not come in. */
export class Refused extends ScpError {
  constructor(refusal: Refusal) {
    super(501, `refused: ${refusal}`);
  }
}

/** What is to be thrown where somebody may not come in, which is counted. */
export function refused(stats: Stats, refusal: Refusal): Refused {
  stats.refused[refusal]++;
  return new Refused(refusal);
}
