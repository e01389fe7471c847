/**
 * What the two processes of an upgrade say to each other, step by step, each with its `step`:
 *
 *     new                    old
 *     started  ->
 *                        <- hello
 *     read     ->                      the configuration has no fault
 *                        <- listener   of each, with its descriptors
 *                        <- listeners  there are no more
 *     ready    ->                      all that can fail is done
 *                        <- take over  the old one accepts nobody any more; the ids of the sessions that are to come
 *     serving  ->                      the new one does
 *                        <- session    with its descriptors; again and again
 *     taken    ->                      it is the new one's, or not, with the reason
 *                        <- done       there are no more
 *     done     ->
 *                        <- the end    the old one has let go of all
 *
 * Instead of what is its turn the new one may say `faults`, and end. Before `take over` the old one may go as if it had asked nothing.
 */
import type { PassedListener } from "../../proxy/data_plane.ts";
import type { PlainData } from "./plain_data.ts";

/** The environment variable by which a process that is to take over finds the socket. */
export const UPGRADE_VARIABLE = "GOSCON_UPGRADE";

/** Of what is passed. The new process reads this one and the one before, and refuses others. */
export const FORMAT = 2;

/** Whose listener that is. */
export type ListenerOwner = "proxy" | "manager";

export type FromNew =
  | { step: "started"; format: number; version: string }
  | { step: "read" | "ready" | "serving" | "done" }
  | { step: "taken"; refused?: string }
  | { step: "faults"; faults: string[] };

export type FromOld =
  | { step: "hello"; format: number; version: string; pid: number }
  | { step: "listener"; owner: ListenerOwner; listener: Omit<PassedListener, "descriptors"> }
  | { step: "listeners" | "done" }
  /** What is to come: see `ReplaceableDataPlane.sessionIds`. */
  | { step: "take over"; coming: PlainData }
  | { step: "session"; session: PlainData };

/** An upgrade that came to nothing. */
export class UpgradeFailed extends Error {
  /** Each in one sentence. */
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("; "));
    this.faults = faults;
  }
}
