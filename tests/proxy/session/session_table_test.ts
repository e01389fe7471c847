import assert from "node:assert/strict";
import { readPair } from "../../../lib/admin/config_file.ts";
import { parseConfig } from "../../../lib/config.ts";
import { CacheBudget } from "../../../lib/proxy/session/cache/cache_budget.ts";
import { InFlight } from "../../../lib/proxy/session/in_flight.ts";
import { SessionTable } from "../../../lib/proxy/session/session_table.ts";
import { systemSeams } from "../../../lib/proxy/system_seams.ts";
import type { Upstreams } from "../../../lib/proxy/upstream/upstream.ts";
import { type NewRequest, parseRequest } from "../../../lib/scp/mod.ts";
import { ManualFlowLink } from "../../helpers/manual_flow.ts";
import { TestLog, TestProxy } from "../../helpers/proxy.ts";
import { ask, RawClient } from "../../helpers/raw_client.ts";
import { turn } from "../../helpers/turns.ts";

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

/** A table of so many sessions whose backends are dialled for ever. `onLook`: called for each look at one of them. */
function tableOf(count: number, onLook: (id: number) => void): SessionTable {
  const { config } = parseConfig(JSON.stringify({ ...TestProxy.LISTEN, ...ECHO }), "test.yaml", readPair);
  const table = new SessionTable({
    seams: { ...systemSeams(new TestLog()), randomU64: () => 1n },
    upstreams: { connect: () => new Promise(() => {}) } as Partial<Upstreams> as Upstreams,
    budget: new CacheBudget(0),
    inFlight: new InFlight(false, { soon() {} }),
    config: () => config,
    adoptKcp: () => assert.fail("there is none"),
  });
  const content = "0\n782riWdFIwE=\n\n0";
  for (let i = 0; i < count; i++) {
    const request = parseRequest(content) as NewRequest;
    const arrival = {
      link: new ManualFlowLink(),
      dialect: "plain",
      request,
      content,
      rest: new Uint8Array(0),
    } as const;
    const { id, begin } = table.prepare(arrival);
    begin({ onGone() {}, isAnswered: false });
    const session = table.get(id);
    assert(session?.version === 1);
    const look = session.look.bind(session);
    session.look = (...args) => {
      look(...args);
      onLook(id);
    };
  }
  return table;
}

Deno.test("look() sees every session once, and whatever else there is has its turn after each 200 of them", async () => {
  const seen: number[] = [];
  const table = tableOf(1050, (id) => seen.push(id));
  for (let times = 0; times < 2; times++) {
    seen.length = 0;
    const looking = table.look();
    const again = table.look(); // the next second has come before the first look is over
    const steps = [seen.length];
    while (seen.length < 1050 && steps.length < 10) {
      await turn();
      steps.push(seen.length);
    }
    await Promise.all([looking, again]);
    assert.deepEqual(steps, [200, 400, 600, 800, 1000, 1050]);
    assert.equal(new Set(seen).size, 1050);
  }
  table.abort("over");
});

Deno.test("look() leaves out who has ended in the middle of it", async () => {
  const seen = new Set<number>();
  const table = tableOf(450, (id) => seen.add(id));
  const [first, last] = [[...table.describe()][0]!.id, [...table.describe()].at(-1)!.id];
  const looking = table.look();
  for (const id of [first, last]) table.get(id)!.abort("admin");
  await looking;
  assert.deepEqual([seen.has(first), seen.has(last), seen.size], [true, false, 449]);
  table.abort("over");
});
