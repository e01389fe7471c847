import assert from "node:assert/strict";
import { Spares } from "../../../../lib/proxy/cluster/nodes/spares.ts";
import { ManualLink } from "../../../helpers/manual_link.ts";

/** Opens links, of which it knows all. */
class Opener {
  readonly links: ManualLink[] = [];

  readonly open = (): Promise<ManualLink> => {
    const link = new ManualLink();
    this.links.push(link);
    return Promise.resolve(link);
  };

  get closed(): boolean[] {
    return this.links.map(({ closed }) => closed);
  }
}

Deno.test("spares that nobody has wanted for a minute are closed, and others are not", async () => {
  let now = 0;
  const spares = new Spares(() => now);
  const [quiet, busy] = [new Opener(), new Opener()];
  await Promise.all([spares.fill("quiet", quiet.open), spares.fill("busy", busy.open)]);
  now = 59_999;
  const taken = spares.take("busy");
  spares.sweep();
  assert.deepEqual(quiet.closed, [false, false, false, false]);
  now = 60_000;
  spares.sweep();
  assert.deepEqual(quiet.closed, [true, true, true, true]);
  assert.deepEqual(busy.closed, [false, false, false, false]);
  assert.equal(taken, busy.links[3]);
});

Deno.test("no spare is left open at the end: neither one that is being opened, nor any that is wanted then", async () => {
  const spares = new Spares(() => 0);
  const [before, after] = [new Opener(), new Opener()];
  const filling = spares.fill("here", before.open);
  spares.close();
  await filling;
  await spares.fill("here", after.open);
  assert.deepEqual([before.closed, after.closed], [[true], []]);
});

Deno.test("spares that are not to be trusted any more are closed, what is being opened too, and others are not", async () => {
  const spares = new Spares(() => 0);
  const [dead, other] = [new Opener(), new Opener()];
  await Promise.all([spares.fill("1 5 a", dead.open), spares.fill("1 50 a", other.open)]);
  const filling = (spares.take("1 5 a"), spares.fill("1 5 a", dead.open));
  spares.forget("1 5 ");
  await filling;
  assert.deepEqual(dead.closed, [true, true, true, false, true]);
  assert.deepEqual([spares.take("1 5 a"), other.closed.includes(true)], [undefined, false]);
});
