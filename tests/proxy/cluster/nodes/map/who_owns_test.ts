import assert from "node:assert/strict";
import { isGone, whoOwns } from "../../../../../lib/proxy/cluster/nodes/map/who_owns.ts";
import { PeerError } from "../../../../../lib/proxy/cluster/nodes/peer_error.ts";
import type { NodeState } from "../../../../../lib/proxy/cluster_info.ts";
import type { NodeView } from "../../../../../lib/proxy/cluster/nodes/peers.ts";

const view = (slot: number, epoch: number | undefined, name: string, state: NodeState): NodeView => ({
  ...{ slot, addr: { hostname: name, port: 1 }, state, since: 0, takesNew: true, serves: [], weight: 1 },
  ...(epoch !== undefined && { epoch, instance: name }),
});

const CASES: [string, NodeView[], [number, number], string][] = [
  ["nothing is known of the slot", [view(2, 1, "a", "up")], [3, 1], "nowhere"],
  ["the owner is up", [view(3, 6, "b", "up"), view(3, 5, "a", "up")], [3, 1], "a"],
  ["the owner is away, and may come back", [view(3, 6, "b", "up"), view(3, 5, "a", "away")], [3, 1], "a"],
  ["the owner is refused", [view(3, 5, "a", "refused")], [3, 1], "gone"],
  ["the slot has another owner, which is up", [view(3, 6, "b", "up")], [3, 1], "gone"],
  ["the owner of the slot is not there: another may have come", [view(3, 6, "b", "refused")], [3, 3], "b"],
  ["only an address is known", [view(3, undefined, "p", "unknown")], [3, 1], "p"],
  [
    "another is to come where the discovery says",
    [view(3, 6, "b", "away"), view(3, undefined, "p", "away")],
    [3, 3],
    "p",
  ],
  ["of two that ids do not tell apart", [view(3, 9, "new", "up"), view(3, 5, "old", "up")], [3, 1], "new"],
  ["of two with one epoch", [view(3, 5, "first", "up"), view(3, 5, "second", "up")], [3, 1], "first"],
  ["of two with one epoch the first is gone", [view(3, 5, "a", "refused"), view(3, 5, "b", "up")], [3, 1], "b"],
];
for (const [name, views, [slot, epoch], expected] of CASES) {
  Deno.test(`who owns a session: ${name}: ${expected}`, () => {
    const owner = whoOwns(views, { slot, epoch });
    assert.equal(typeof owner === "string" ? owner : owner.addr.hostname, expected);
  });
}

Deno.test("who owns a session of a former life of our own slot: nobody, unless it is known to live", () => {
  const own = { instance: "me", slot: 3, epoch: 6 };
  assert.equal(whoOwns([], { slot: 3, epoch: 1 }, own), "gone");
  const former = view(3, 5, "a", "up");
  assert.equal(whoOwns([former], { slot: 3, epoch: 1 }, own), former);
});

Deno.test("an owner is gone when nothing listens where it was, or another one does, and not when it cannot be reached", () => {
  const kinds = ["refused", "gone", "elsewhere", "unreachable", "self", "rejected"] as const;
  assert.deepEqual(kinds.filter((kind) => isGone(new PeerError(kind, "no"))), ["refused", "gone", "elsewhere"]);
  assert.equal(isGone(new Error("no answer")), false);
});
