import assert from "node:assert/strict";
import { tryRule } from "../../../../lib/tools/check/check.ts";
import { RULES_OF_2 } from "../../../../lib/tools/check/v2/rules.ts";
import { frameRelay } from "../../../helpers/frame_relay.ts";
import { tcp } from "../../../helpers/raw_client.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import type { Fault } from "./faults.ts";
import { HANDSHAKE_FAULTS } from "./handshake_faults.ts";
import { SESSION_FAULTS } from "./session_faults.ts";
import { STREAM_FAULTS } from "./stream_faults.ts";

const FAULTS = [...HANDSHAKE_FAULTS, ...STREAM_FAULTS, ...SESSION_FAULTS];
/** Faults that are tried at a time: most of them wait. */
const LANES = 12;

/** What is wrong in what `check` says of a server with that fault. */
async function surprises(address: string, { name, fault, breaks }: Fault): Promise<string[]> {
  const found: string[] = [];
  for (const [beginning, said] of breaks) {
    const { check } = RULES_OF_2.find(({ rule }) => rule.startsWith(beginning))!;
    await using relay = frameRelay(address, fault());
    const reason = await tryRule(check, () => tcp(relay.address), "goscon");
    if (!said.test(reason ?? "")) found.push(`a server that ${name}: ${beginning}: ${reason}`);
  }
  return found;
}

Deno.test("each rule of version 2 is broken by a server with a fault, and what is said tells which", async () => {
  await using proxy = TestProxy.start({
    ...{ hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" },
    scp: { v2: { window: "4096" } },
  });
  const left = FAULTS.values();
  const found: string[] = [];
  const lane = async () => {
    for (const fault of left) found.push(...await surprises(proxy.address, fault));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  assert.deepEqual(found, []);
});

Deno.test("there is a fault for each rule of version 2, and each is of one rule", () => {
  const beginnings = FAULTS.flatMap(({ breaks }) => breaks.map(([beginning]) => beginning));
  for (const { rule } of RULES_OF_2) assert(beginnings.some((beginning) => rule.startsWith(beginning)), rule);
  for (const beginning of beginnings) {
    assert.equal(RULES_OF_2.filter(({ rule }) => rule.startsWith(beginning)).length, 1, beginning);
  }
});
