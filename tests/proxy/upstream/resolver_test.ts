import assert from "node:assert/strict";
import { mock } from "node:test";
import { Resolver } from "../../../lib/proxy/upstream/resolver.ts";
import { TestLog } from "../../helpers/proxy.ts";

/** A resolver whose look-ups and clock are the test's. */
function byHand() {
  const asked: { name: string; answer: PromiseWithResolvers<string[]> }[] = [];
  const clock = { now: 0 };
  const log = new TestLog();
  const lookup = (name: string) => {
    const answer = Promise.withResolvers<string[]>();
    asked.push({ name, answer });
    return answer.promise;
  };
  return { resolver: new Resolver({ lookup, now: () => clock.now, log }), asked, clock, log };
}

const error = (code: string) => Object.assign(new Error(code), { code });

Deno.test("Resolver looks a name up once at a time, and remembers it for 5 s", async () => {
  const { resolver, asked, clock } = byHand();
  const both = Promise.all([resolver.lookUp("a"), resolver.lookUpForClient("a")]);
  assert.equal(asked.length, 1);
  asked[0]!.answer.resolve(["1.1.1.1"]);
  assert.deepEqual(await both, [["1.1.1.1"], ["1.1.1.1"]]);
  clock.now = 4999;
  assert.deepEqual(await resolver.lookUp("a"), ["1.1.1.1"]);
  assert.equal(asked.length, 1);
  clock.now = 5000;
  const again = resolver.lookUp("a");
  asked[1]!.answer.resolve(["2.2.2.2"]);
  assert.deepEqual(await again, ["2.2.2.2"]);
});

Deno.test("Resolver remembers a failure for 1 s", async () => {
  const { resolver, asked, clock } = byHand();
  const first = resolver.lookUp("a");
  asked[0]!.answer.reject(error("EAI_AGAIN"));
  await assert.rejects(first, { code: "EAI_AGAIN" });
  clock.now = 999;
  await assert.rejects(resolver.lookUp("a"), { code: "EAI_AGAIN" });
  assert.equal(asked.length, 1);
  clock.now = 1000;
  const again = resolver.lookUp("a");
  asked[1]!.answer.resolve(["1.1.1.1"]);
  assert.deepEqual(await again, ["1.1.1.1"]);
});

Deno.test("Resolver goes on with the last known addresses while the DNS is down, not when it says that there is no such name", async () => {
  const { resolver, asked, clock, log } = byHand();
  const first = resolver.lookUp("a");
  asked[0]!.answer.resolve(["1.1.1.1"]);
  await first;
  for (const round of [1, 2]) {
    clock.now += 5000;
    const again = resolver.lookUp("a");
    asked[round]!.answer.reject(error("EAI_AGAIN"));
    assert.deepEqual(await again, ["1.1.1.1"]);
  }
  assert.equal(log.of("look-up failed").length, 2);
  clock.now += 5000;
  const gone = resolver.lookUp("a");
  asked[3]!.answer.reject(error("ENOTFOUND"));
  await assert.rejects(gone, { code: "ENOTFOUND" });
});

Deno.test("Resolver waits 250 ms for a DNS that says nothing, when it has addresses to go on with", async () => {
  const { resolver, asked, clock } = byHand();
  const first = resolver.lookUp("a");
  asked[0]!.answer.resolve(["1.1.1.1"]);
  await first;
  clock.now = 5000;
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const again = resolver.lookUp("a");
    mock.timers.tick(250);
    assert.deepEqual(await again, ["1.1.1.1"]);
  } finally {
    mock.timers.reset();
  }
});

Deno.test("Resolver looks at most 16 names of clients up at once, and those of the configuration at any time", async () => {
  const { resolver, asked } = byHand();
  const clients = Array.from({ length: 16 }, (_, i) => resolver.lookUpForClient(`c${i}`));
  await assert.rejects(resolver.lookUpForClient("one more"), /too many/);
  const own = resolver.lookUp("own");
  asked.at(-1)!.answer.resolve(["1.1.1.1"]);
  assert.deepEqual(await own, ["1.1.1.1"]);
  for (const { answer } of asked) answer.resolve([]);
  await Promise.all(clients);
  const next = resolver.lookUpForClient("one more");
  asked.at(-1)!.answer.resolve(["2.2.2.2"]);
  assert.deepEqual(await next, ["2.2.2.2"]);
});

Deno.test("Resolver looks at most 12 names of the configuration up at once, and the others when there is room, in their order", async () => {
  const { resolver, asked } = byHand();
  const own = Array.from({ length: 14 }, (_, i) => resolver.lookUp(`h${i}`));
  const again = resolver.lookUp("h13");
  assert.deepEqual(asked.map(({ name }) => name), Array.from({ length: 12 }, (_, i) => `h${i}`));
  const clients = Array.from({ length: 16 }, (_, i) => resolver.lookUpForClient(`c${i}`));
  assert.equal(asked.length, 28);
  asked[5]!.answer.reject(error("EAI_AGAIN"));
  await assert.rejects(own[5]!, { code: "EAI_AGAIN" });
  assert.equal(asked.at(-1)!.name, "h12");
  for (const { answer } of asked) answer.resolve(["1.1.1.1"]);
  await Promise.all([...own.toSpliced(5, 1).slice(0, 12), ...clients]);
  assert.deepEqual([asked.length, asked.at(-1)!.name], [30, "h13"]);
  asked.at(-1)!.answer.resolve(["2.2.2.2"]);
  assert.deepEqual(await Promise.all([own[13], again]), [["2.2.2.2"], ["2.2.2.2"]]);
});
