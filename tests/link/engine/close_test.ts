import assert from "node:assert/strict";
import type { SocketFlow } from "../../../lib/link/engine/socket_flow.ts";
import { System } from "../../../lib/link/engine/system.ts";
import type { FlowingLink } from "../../../lib/link/flow.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { descriptorsOf, untilDescriptors } from "../../helpers/accepted.ts";
import { readExactly } from "../../helpers/backend.ts";
import { engineOf, NATIVE } from "../../helpers/engine.ts";
import { Stage } from "../../helpers/engine_pair.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { turn } from "../../helpers/turns.ts";

for (const name of NATIVE) {
  const test = (what: string, run: () => Promise<void>) => Deno.test(`${name}: ${what}`, run);

  test("an engine that is closed holds no descriptor, nor does what was closed before", async () => {
    const before = ownDescriptors();
    for (let i = 0; i < 20; i++) {
      await using stage = Stage.open(name, i % 2 ? "IPv4" : "IPv6");
      const [near, far] = await stage.pair();
      await writeAll(near, new Uint8Array(10));
      await readExactly(far, 10);
      if (i % 3 === 0) { for (let turns = 0; turns < 50; turns++) await turn(); // it sleeps
       }
      if (i % 3 === 1) near.reset();
    }
    assert.deepEqual([...ownDescriptors().keys()].sort(), [...before.keys()].sort());
  });

  test("an engine that nobody used is closed at once, and may be closed again: nothing is closed that is another's by then", async () => {
    const engine = engineOf(name);
    await engine.close();
    const others = [System.open().createBell(), System.open().createBell()];
    await engine.close();
    await assert.rejects(engine.connect({ kind: "tcp", hostname: "127.0.0.1", port: 1 }, {}));
    assert.throws(() => engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 1, isShared: false, tcp: {} }));
    const own = ownDescriptors();
    for (const fd of others) {
      assert.match(own.get(fd)!, /eventfd/, "it is gone");
      System.open().close(fd);
    }
  });

  test("a link that is closed again, or was given away, closes nothing that is another's by then", async () => {
    await using stage = Stage.open(name);
    for (const end of ["close", "reset", "detach"] as const) {
      const [near, far] = await stage.pair();
      const flow = (near as unknown as FlowingLink).flow as SocketFlow;
      const before = descriptorsOf();
      const fd = flow[end]();
      if (fd !== undefined) System.open().close(fd);
      await untilDescriptors(before - 1);
      // They have its number, and its place.
      const [other, otherFar] = await stage.pair();
      for (const again of [near, flow, far]) {
        again.close();
        again.reset();
      }
      assert.equal(flow.detach(), undefined);
      assert.throws(() => flow.write(new Uint8Array(1)));
      flow.closeWrite();
      flow.pause();
      flow.resume(100);
      assert.equal(flow.unacknowledged(), 0);
      await Promise.all([writeAll(other, new Uint8Array(10)), readExactly(otherFar, 10)]);
      await Promise.all([writeAll(otherFar, new Uint8Array(10)), readExactly(other, 10)]);
    }
  });
}
