import assert from "node:assert/strict";
import { TestProxy } from "../../helpers/proxy.ts";
import { ask, RawClient } from "../../helpers/raw_client.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

/** The ids of the first sessions of a proxy whose generator gives `random`. */
async function idsWith(random: bigint): Promise<number[]> {
  await using proxy = TestProxy.start(ECHO, { randomU64: () => random });
  const ids: number[] = [];
  for (let i = 0; i < 3; i++) {
    using client = await RawClient.open(proxy.address);
    ids.push(client.id);
  }
  return ids;
}

Deno.test("the id of a session that has ended is not given again: a late resume meets 404, not a stranger's session", async () => {
  await using proxy = TestProxy.start(ECHO);
  using first = await RawClient.open(proxy.address);
  assert.equal(await proxy.proxy.endSession(first.id), true);
  using second = await RawClient.open(proxy.address);
  assert.notEqual(second.id, first.id);
  const { link, answer } = await ask(proxy.address, first.resumeContent());
  link.close();
  assert.equal(answer, "0\n404");
});

Deno.test("the ids of sessions follow from what the generator gives, and not from each other", async () => {
  const [ids, same, others] = [await idsWith(1n), await idsWith(1n), await idsWith(2n)];
  assert.deepEqual(ids, same);
  assert.equal(new Set([...ids, ...others]).size, 6);
  assert.notEqual(ids[1]! - ids[0]!, ids[2]! - ids[1]!);
});
