import assert from "node:assert/strict";
import type { Link } from "../../../../lib/link/link.ts";
import { MUCH } from "../../../../lib/proxy/cluster/carry/carried.ts";
import { PeerError } from "../../../../lib/proxy/cluster/nodes/peer_error.ts";
import type { NodeView } from "../../../../lib/proxy/cluster/nodes/peers.ts";
import { Roads } from "../../../../lib/proxy/cluster/nodes/roads.ts";

const NODE: NodeView = {
  ...{ slot: 1, epoch: 5, instance: "one", addr: { hostname: "192.0.2.1", port: 1 }, state: "up", since: 0 },
  ...{ takesNew: true, serves: [], weight: 100 },
};
const OWNER = { thread: 0, slot: 1, epoch: 1 };

/** Ways of a process whose clock is the test's, to nodes that do not answer. */
class Stage implements Disposable {
  now = 0;
  dials = 0;
  readonly roads: Roads;

  constructor(views: NodeView[]) {
    this.roads = new Roads({
      dial: (): Promise<Link> => {
        this.dials++;
        return Promise.reject(new PeerError("unreachable", "no answer"));
      },
      own: () => ({ instance: "here", slot: 0, epoch: 0 }),
      isEdge: false,
      now: () => this.now,
      random: () => 0.5,
    });
    this.roads.views = views;
  }

  /** The code with which a resume is refused. */
  async codeOf(owner: typeof OWNER): Promise<number> {
    return await this.roads.reach(owner, MUCH).then(() => 200, ({ code }) => code);
  }

  [Symbol.dispose](): void {
    this.roads.close();
  }
}

Deno.test("a slot of which nothing is known may be heard of yet: 501, and 404 when it must have been", async () => {
  using stage = new Stage([NODE]);
  const nobody = { ...OWNER, slot: 9 };
  assert.equal(await stage.codeOf(nobody), 501);
  stage.now = 9_999;
  assert.equal(await stage.codeOf(nobody), 501);
  stage.now = 10_000;
  assert.equal(await stage.codeOf(nobody), 404);
  assert.equal(await stage.codeOf({ ...OWNER, slot: 8 }), 501, "each slot has its own time");
  assert.equal(stage.dials, 0);
});

Deno.test("who could not be reached is not tried again for a second", async () => {
  using stage = new Stage([NODE]);
  for (const now of [0, 1, 999]) {
    stage.now = now;
    assert.equal(await stage.codeOf(OWNER), 501);
  }
  assert.equal(stage.dials, 1);
  stage.now = 1000;
  assert.equal(await stage.codeOf(OWNER), 501);
  assert.equal(stage.dials, 2);
});
