import assert from "node:assert/strict";
import { check, type Outcome } from "../../../../lib/tools/check/check.ts";
import { RULES_OF_2 } from "../../../../lib/tools/check/v2/rules.ts";
import type { Dialect } from "../../../../lib/scp/mod.ts";
import { Backend, echo } from "../../../helpers/backend.ts";
import { frameRelay } from "../../../helpers/frame_relay.ts";
import { TestProxy } from "../../../helpers/proxy.ts";

/** Checks the rules of version 2: which do not hold, and why. */
async function broken(address: string, dialect: Dialect): Promise<string[]> {
  const outcomes: Outcome[] = [];
  const tell = (outcome: Outcome) => outcomes.push(outcome);
  // Whether the times are kept is not for a test that shares its machine; that they are looked at, faults show.
  const all = await check(address, { dialect, version: 2, slack: 5000, tell, note: assert.fail });
  assert.equal(outcomes.length, RULES_OF_2.length);
  const failed = outcomes.filter(({ reason }) => reason !== undefined);
  assert.equal(all, failed.length === 0);
  return failed.map(({ rule, reason }) => `${rule}: ${reason}`);
}

Deno.test("a proxy of ours keeps every rule of version 2, in both dialects, and through a relay", async () => {
  await using backend = new Backend().serve(echo);
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  await using small = TestProxy.start({
    ...{ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" },
    scp: { v2: { window: "4096", ping_interval: "0" } },
  });
  await using relay = frameRelay(small.address, { toClient: (frame) => [frame] });
  const servers: [string, Dialect][] = [
    [proxy.address, "goscon"],
    [small.plainAddress, "plain"],
    [relay.address, "goscon"],
  ];
  assert.deepEqual(await Promise.all(servers.map(([address, dialect]) => broken(address, dialect))), [[], [], []]);
});
