import assert from "node:assert/strict";
import { Backend } from "../helpers/backend.ts";
import { runChaos, runStalls } from "../helpers/chaos.ts";
import { Goscon, OLD_RUNTIME } from "../helpers/goscon.ts";
import { assertNoneLost } from "../helpers/none_lost.ts";
import { Random } from "../helpers/random.ts";

/** `reuseBuffer`: of version 1. All of version 2 is as by default. */
const configOf = (backend: Backend, reuseBuffer: string) => `
  listen: [{tcp: "127.0.0.1:0"}, {tcp: "127.0.0.1:0", dialect: plain}]
  manager: 127.0.0.1:0
  hosts: [{addr: "${backend.address}"}]
  scp: {reuse_buffer: ${reuseBuffer}}
`;

for (const [i, dialect] of (["goscon", "plain"] as const).entries()) {
  Deno.test({
    name: `no byte is lost, doubled or moved over links that break anywhere, in either version: dialect ${dialect}`,
    fn: async () => {
      const random = new Random();
      await using backend = new Backend();
      await using goscon = await Goscon.start(configOf(backend, "4MiB"));
      const { resumes, cuts } = await runChaos({
        address: goscon.addresses[i]!,
        dialect,
        backend,
        sessions: 40,
        bytes: 300_000,
        cutWithin: 60_000,
        random,
      });
      console.log(
        `seed ${random.seed}: 40 sessions, ${resumes[1]} resumes of version 1 and ${resumes[2]} of version 2; ` +
          `the relays have cut ${cuts} times`,
      );
      assert(resumes[1] > 200 && resumes[2] > 200, `only ${resumes[1]} and ${resumes[2]} resumes`);
      assert(Math.min(...cuts) > 10, `the relays have cut only ${cuts} times`);
      const replaced = goscon.events.filter((e) =>
        e.message === "session lost" && /^replaced by/.test(String(e.reason))
      );
      assert(replaced.length > 10, `only ${replaced.length} connections were open as the client came again`);
      await assertNoneLost(goscon);
    },
  });

  for (const version of [1, 2] as const) {
    Deno.test({
      name:
        `no byte is lost when the old connection is open and full as the client comes again: ${dialect}, ${version}`,
      ignore: OLD_RUNTIME, // it never settles the write that is pending on the old connection
      fn: async () => {
        const random = new Random();
        await using backend = new Backend();
        await using goscon = await Goscon.start(configOf(backend, "64MiB"));
        const address = goscon.addresses[i]!;
        const held = await runStalls({ address, dialect, version, backend, bytes: 60_000_000, random });
        const resumes = goscon.events.filter((e) => e.message === "session resumed").length;
        console.log(`seed ${random.seed}: 120 MB, ${resumes} resumes, with ${held} bytes under way`);
        assert(resumes >= 4, `only ${resumes} resumes`);
        // Not each: a machine that is busy elsewhere may look as if it were held up.
        assert(held.filter((count) => count > 100_000).length >= 4, `only ${held} bytes were under way`);
        if (version === 2) await assertNoneLost(goscon);
      },
    });
  }
}
