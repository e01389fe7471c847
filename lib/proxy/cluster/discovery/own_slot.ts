import { EPOCHS } from "../../../config/cluster/id_bits.ts";
import type { Claim, Claimant } from "./discovery.ts";
import type { StateDir } from "./state_dir.ts";

/** What choosing an epoch takes. */
export interface Memory {
  state: StateDir;
  /** A number of [0, 1). */
  random: () => number;
}

/** Takes a slot that nobody else may have. */
export async function claimOwn(slot: number, claimant: Claimant, { state, random }: Memory): Promise<Claim> {
  const { instance, remembered } = claimant;
  const last = Math.max(state.epochOf(slot) ?? -1, remembered.get(slot) ?? -1);
  const claim = { slot, epoch: last < 0 ? anyEpoch(random) : last + 1 };
  await state.keep({ ...claim, instance });
  return claim;
}

/** An epoch where nobody remembers one: most likely it is not that of the owner before. */
export function anyEpoch(random: () => number): number {
  return Math.floor(random() * EPOCHS);
}
