import assert from "node:assert/strict";
import { AckedModel } from "../../../helpers/acked_model.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { turn } from "../../../helpers/turns.ts";

const OPTIONS = {
  cacheSize: 100_000,
  window: 100,
  clientWindow: 100,
  clientRoom: Infinity,
  backendRoom: Infinity,
  isReached: true,
  position: 2 ** 32 - 20,
};

/** A conversation in frames of every kind: what of it is on its way, both ways, has come nowhere yet. */
async function conversation(dialect: "goscon" | "plain", time: ReturnType<typeof stillTime>): Promise<AckedModel> {
  const model = new AckedModel({ ...OPTIONS, dialect }, time);
  await model.backendReached();
  model.clientTakes(Infinity);
  for (let i = 1; i <= 3; i++) {
    model.backendSends(7 * i);
    model.clientSends(5 * i);
  }
  model.stage.client.sayPing();
  model.clientSays();
  model.look();
  model.clientFinishes();
  model.backendEnds();
  return model;
}

for (const dialect of ["goscon", "plain"] as const) {
  for (const way of ["up", "down"] as const) {
    Deno.test(`a cut at every byte on the way ${way}, once and again, dialect ${dialect}`, async () => {
      let cuts = 0;
      for (let at = 0, length = 1; at <= length; at++, cuts++) {
        using time = stillTime();
        const model = await conversation(dialect, time);
        length = model.underWay[way];
        // Twice: the second cut is in what is sent again, and in the answer.
        for (let round = 0; round < 2; round++) {
          if (way === "up") await model.arrives(at);
          else model.clientReads(at);
          await model.check();
          model.cut(at % 2 === 0 ? "end" : "loss");
          await model.check();
          model.resume(Infinity);
        }
        await model.check();
        await model.settle();
        if (at % 20 === 0) await turn();
      }
      assert(cuts > 40, `${cuts} cuts`);
    });
  }
}

Deno.test("what came before a cut is not asked for again, also the first half of a DATA, and what waits in the window", async () => {
  using time = stillTime();
  const model = new AckedModel({ ...OPTIONS, position: 0, backendRoom: 10, dialect: "goscon" }, time);
  await model.backendReached();
  model.clientSends(50);
  // The header of the DATA, and 30 of its bytes, of which the backend takes 10.
  await model.arrives(33);
  model.cut("end");
  model.resume(Infinity);
  assert.equal(model.stage.client.sent, 50);
  assert.equal(model.underWay.up, 3 + 20);
  await model.settle();
});
