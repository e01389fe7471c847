/**
 * Why there is no connection to a peer. `refused`: nothing listens there. `unreachable`: no answer in time, no way, no address, or it broke
 * off. `gone`: it is of that slot, but not of that epoch, which is no more. `elsewhere`: it is not of that slot. `self`: it is this
 * very process. `rejected`: one of both does not take the other for a peer, or cannot work with it.
 */
export type PeerFault = "refused" | "unreachable" | "gone" | "elsewhere" | "self" | "rejected";

/** There is no connection to a peer: its text says why, for a log line. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly kind: PeerFault;

  constructor(kind: PeerFault, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.kind = kind;
  }
}
