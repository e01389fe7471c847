import assert from "node:assert/strict";
import { Backend } from "../helpers/backend.ts";
import { runChaos } from "../helpers/chaos.ts";
import { Goscon } from "../helpers/goscon.ts";
import { Random } from "../helpers/random.ts";

for (const [i, dialect] of (["goscon", "plain"] as const).entries()) {
  Deno.test({
    name: `no byte is lost, doubled or moved over links that break anywhere: dialect ${dialect}`,

    fn: async () => {
      const random = new Random();
      await using backend = new Backend();
      await using goscon = await Goscon.start(`
        listen: [{tcp: "127.0.0.1:0"}, {tcp: "127.0.0.1:0", dialect: plain}]
        hosts: [{addr: "${backend.address}"}]
        scp: {reuse_buffer: 4MiB}
      `);
      const { resumes } = await runChaos({
        address: goscon.addresses[i]!,
        dialect,
        backend,
        sessions: 40,
        bytes: 300_000,
        cutWithin: 60_000,
        random,
      });
      console.log(`seed ${random.seed}: 40 sessions, 24 MB, ${resumes} resumes`);
      assert(resumes > 400, `only ${resumes} resumes`);
      assert.deepEqual(goscon.events.filter((e) => e.message === "internal error"), []);
    },
  });
}
