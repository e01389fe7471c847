import { areAlike } from "./facts.ts";
import type { Called } from "../calls.ts";
import { kindOf } from "../conversation.ts";
import type { Identity, NodeView } from "../peers.ts";

/** The owner that is meant is no more, or was never heard of: it has no session. */
export class NoOwner extends Error {
  override readonly name = "NoOwner";
}

/** Whether a node was dialled that is not there any more: see `PeerFault`. */
export function isGone(error: unknown): boolean {
  return ["refused", "gone", "elsewhere"].includes(kindOf(error) ?? "");
}

/** Where to ask the owner of a slot and an epoch, or an instance. Throws when nobody is known; `NoOwner`: of that owner. */
export function whomToAsk(
  views: readonly NodeView[],
  whom: { slot: number; epoch: number } | { instance: string },
  own: Identity,
): Called {
  if ("instance" in whom) {
    const view = views.find(({ instance }) => instance === whom.instance);
    if (!view) throw new Error(`nothing is known of the instance ${whom.instance}`);
    return { addr: view.addr, instance: whom.instance };
  }
  const { slot, epoch } = whom;
  const view = whoOwns(views, whom, own);
  if (view === "gone") throw new NoOwner(`epoch ${epoch} of slot ${slot} is no more`);
  if (view === "nowhere") throw new NoOwner(`nothing is known of slot ${slot}`);
  return { addr: view.addr, slot, epoch };
}

/**
 * Who owns the sessions whose ids tell of this slot and epoch, by what is known of other nodes; they are not this one's, which is `own`. `gone`: that life is known to be over.
 * `nowhere`: nothing is known of the slot. Of a view it gives: when that is the one asked for, its state counts; another one, or one
 * without an epoch, is where the owner should be, if it lives: who is dialled there knows, whatever the state of the view is.
 */
export function whoOwns(
  views: readonly NodeView[],
  { slot, epoch }: { slot: number; epoch: number },
  own?: Identity,
): NodeView | "gone" | "nowhere" {
  const ofSlot = views.filter((view) => view.slot === slot);
  // Views are sorted: of two of one epoch the one whose it is is first, of two that ids do not tell apart the later one.
  const asked = ofSlot.filter((view) => view.epoch !== undefined && areAlike(view.epoch, epoch));
  if (asked.length > 0) return asked.find(({ state }) => state !== "refused") ?? "gone";
  // While the latest owner is there the slot has no later one; when it is not, a new one may have come that nobody has met yet.
  if (own?.slot === slot) return "gone";
  if (ofSlot[0]?.epoch !== undefined && ofSlot[0].state === "up") return "gone";
  return ofSlot.find((view) => view.epoch === undefined) ?? ofSlot[0] ?? "nowhere";
}
