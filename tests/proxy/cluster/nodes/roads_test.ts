import assert from "node:assert/strict";
import type { Link } from "../../../../lib/link/link.ts";
import { MUCH } from "../../../../lib/proxy/cluster/carry/carried.ts";
import { PeerError } from "../../../../lib/proxy/cluster/nodes/peer_error.ts";
import type { NodeView } from "../../../../lib/proxy/cluster/nodes/peers.ts";
import { Roads } from "../../../../lib/proxy/cluster/nodes/roads.ts";
import { ManualLink } from "../../../helpers/manual_link.ts";
import { turn } from "../../../helpers/turns.ts";

const NODE: NodeView = {
  ...{ slot: 1, epoch: 5, instance: "one", addr: { hostname: "192.0.2.1", port: 1 }, state: "up", since: 0 },
  ...{ takesNew: true, serves: [], weight: 100 },
};
const OWNER = { thread: 0, slot: 1, epoch: 1 };

/** Ways of a process whose clock is the test's, to nodes that do not answer, or that do. */
class Stage implements Disposable {
  now = 0;
  dials = 0;
  /** Milliseconds that each had. */
  readonly timeouts: number[] = [];
  /** Whether nodes do not answer. */
  isDead = true;
  readonly links: ManualLink[] = [];
  readonly roads: Roads;

  constructor(views: NodeView[]) {
    this.roads = new Roads({
      dial: (_addr, _to, { timeout }): Promise<Link> => {
        this.dials++;
        this.timeouts.push(timeout);
        if (!this.isDead) {
          this.links.push(new ManualLink());
          return Promise.resolve(this.links.at(-1)!);
        }
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
    return await this.roads.reach(owner, MUCH, 1000).then(() => 200, ({ code }) => code);
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

Deno.test("of what is to take a second in all dialling takes 800 ms at most, and who had less is tried again at once", async () => {
  using stage = new Stage([NODE]);
  const reach = (timeout: number) => stage.roads.reach(OWNER, MUCH, timeout).catch(({ code }) => code);
  assert.equal(await reach(300), 501);
  assert.equal(await reach(1000), 501);
  assert.equal(await reach(1000), 501);
  assert.deepEqual(stage.timeouts, [300, 800]);
});

Deno.test("when a node did not answer over a connection that was opened before, none of those is tried any more", async () => {
  using stage = new Stage([NODE]);
  stage.isDead = false;
  const reach = () => stage.roads.reach(OWNER, MUCH, 1000);
  assert.equal((await reach()).isFresh, true);
  while (stage.links.length < 5) await turn();
  assert.equal((await reach()).isFresh, false);
  while (stage.links.length < 6) await turn();
  stage.roads.failed(OWNER);
  assert.deepEqual(stage.links.map(({ closed }) => closed), [false, true, true, true, false, true]);
  assert.equal((await reach()).isFresh, true);
});
