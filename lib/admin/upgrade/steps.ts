/**
 * What the two processes of an upgrade say to each other, step by step, each with its `step`:
 *
 *     new                    old
 *     started  ->
 *                        <- hello      who it is, and in its cluster
 *     read     ->                      the configuration has no fault
 *                        <- listener   of each, with its descriptors
 *                        <- listeners  there are no more; how many descriptors may come with sessions
 *     ready    ->                      all that can fail is done
 *                        <- take over  the old one accepts nobody any more; the ids of the sessions that are to come
 *     serving  ->                      the new one does; how its threads share sessions
 *                        <- lane       a socket, at any time from then on, over which sessions come to one of its threads: see `lane.ts`
 *                        <- session    what else there is, piece by piece; of format 3 sessions as well, with their descriptors
 *                        <- datagrams  at any time until `done`: what came for clients of KCP whose sessions are the new one's, or will be
 *                        <- go on      it is to take that, if it can: until then it has not touched it
 *     held     ->                      the new one can take that piece, or cannot, with the reason
 *     taken    ->                      it has
 *                        <- done       there are no more; what came of all upgrades, of this one as well
 *     done     ->
 *                        <- late       the new one is the service now; sessions of who needs longer for a handshake may come, as before
 *                        <- the end    the old one has let go of all
 *
 * Instead of what is its turn the new one may say `faults`, and end. Before `take over` the old one may go as if it had asked nothing.
 */
import type { Came } from "../../link/kcp/away.ts";
import type { ClusterIdentity } from "../cluster_identity.ts";
import type { PassedListener } from "../../proxy/data_plane.ts";
import type { IdLayout } from "../../proxy/owner.ts";
import type { PlainData } from "../../link/engine/passing/plain_data.ts";
import type { UpgradeRecord } from "./upgrade_record.ts";

/** The environment variable by which a process that is to take over finds the socket. */
export const UPGRADE_VARIABLE = "GOSCON_UPGRADE";

/** Of what is passed. The new process reads this one and the one before, and refuses others. */
export const FORMAT = 4;

/** Milliseconds at the most from `late` to the end. */
export const LATEST = 10_000;

/** Whose listener that is. */
export type ListenerOwner = "proxy" | "manager" | "cluster";

/** Who a process is in its cluster: by its configuration, and by what `ReplaceableDataPlane.node` says. */
export interface OldNode {
  identity: ClusterIdentity;
  node: unknown;
}

export type FromNew =
  | { step: "started"; format: number; version: string }
  | { step: "read" | "ready" | "taken" | "done" }
  | { step: "serving"; layout: IdLayout }
  | { step: "held"; refused?: string }
  | { step: "faults"; faults: string[] };

export type FromOld =
  /** `cluster`: missing, when it is alone. */
  | { step: "hello"; format: number; version: string; pid: number; cluster?: OldNode | undefined }
  | { step: "listener"; owner: ListenerOwner; listener: Omit<PassedListener, "descriptors"> }
  /** `descriptors`: missing, when the system does not tell. */
  | { step: "listeners"; descriptors?: number | undefined }
  | { step: "go on" | "late" }
  | { step: "done"; record: UpgradeRecord }
  /** What is to come: see `ReplaceableDataPlane.sessionIds`. */
  | { step: "take over"; coming: PlainData }
  | { step: "lane"; thread: number }
  | { step: "session"; session: PlainData }
  /** To the socket of that cookie. */
  | { step: "datagrams"; cookie: number; came: readonly Came[] };

/** An upgrade that came to nothing. */
export class UpgradeFailed extends Error {
  /** Each in one sentence. */
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("; "));
    this.faults = faults;
  }
}
