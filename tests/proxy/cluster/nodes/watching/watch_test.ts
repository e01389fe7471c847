import assert from "node:assert/strict";
import { Watch, type WatchOptions } from "../../../../../lib/proxy/cluster/nodes/watching/watch.ts";
import { Watches } from "../../../../../lib/proxy/cluster/nodes/watching/watches.ts";
import { stillTime } from "../../../../helpers/clock.ts";
import { NEVER, ScriptedPeers } from "../../../../helpers/scripted_peers.ts";
import { turn } from "../../../../helpers/turns.ts";

const ADDR = { hostname: "10.0.0.3", port: 1250 };
const KEY = "10.0.0.3:1250";
const answerOf = (instance: string) => ({
  ...{ identity: { instance, slot: 3, epoch: 7 }, role: "node", reuseTime: 1000 },
  known: [{ slot: 3, epoch: 7, instance, addr: ADDR, at: 5 }],
});

class Stage {
  readonly time = stillTime();
  readonly peers = new ScriptedPeers();
  readonly events: string[] = [];
  #watch: Watch | undefined;

  start(more: Partial<WatchOptions> = {}): Watch {
    return this.#watch = new Watch({
      addr: ADDR,
      connect: this.peers.connect,
      args: () => ({}),
      onAnswer: ({ identity }) => this.events.push(`answer of ${identity.instance}`),
      onSelf: () => this.events.push("self"),
      onLost: (state, reason) => this.events.push(`${state}: ${reason}`),
      random: () => 1,
      ...more,
    });
  }

  /** Lets the time pass in small steps, in which whatever is ready runs. */
  async pass(ms: number): Promise<void> {
    await turn();
    for (let passed = 0; passed < ms; passed += 50) {
      this.time.pass(50);
      await turn();
    }
  }

  [Symbol.dispose](): void {
    this.#watch?.close();
    this.time[Symbol.dispose]();
  }
}

Deno.test("watch: who answers is asked once a second, over one connection", async () => {
  using stage = new Stage();
  stage.peers.put(ADDR, "x", () => answerOf("x"));
  stage.start();
  await stage.pass(3500);
  assert.deepEqual(stage.events, Array(4).fill("answer of x"));
  assert.deepEqual(stage.peers.log, [KEY, ...Array(4).fill(`${KEY} watch`)]);
});

Deno.test("watch: who does not answer for three seconds is away, and is dialled anew", async () => {
  using stage = new Stage();
  let answer: unknown = answerOf("x");
  stage.peers.put(ADDR, "x", () => answer);
  stage.start();
  await stage.pass(500);
  answer = NEVER;
  await stage.pass(3000);
  assert.deepEqual(stage.events, ["answer of x"]);
  await stage.pass(1000);
  assert.deepEqual(stage.events, ["answer of x", "away: no answer within 3000 ms"]);
  answer = answerOf("x");
  await stage.pass(3500);
  assert.equal(stage.events.at(-1), "answer of x");
  assert.equal(stage.peers.open, 1, "the connection before is closed");
});

Deno.test("watch: nobody listens: refused, and dialled again after 250 ms, then 500, at the most 5 s", async () => {
  using stage = new Stage();
  const at: number[] = [];
  stage.peers.remove(ADDR, "refused");
  stage.start({ onLost: (state) => void (state === "refused" && at.push(performance.now())) });
  await stage.pass(20_000);
  assert.deepEqual(at, [0, 250, 750, 1750, 3750, 7750, 12_750, 17_750]);
});

Deno.test("watch: who breaks off after an answer is dialled at once, and nobody is told when somebody is there", async () => {
  using stage = new Stage();
  stage.peers.put(ADDR, "x", () => answerOf("x"));
  stage.start();
  await stage.pass(500);
  stage.peers.put(ADDR, "y", () => answerOf("y"));
  await stage.peers.cut(ADDR);
  await turn();
  assert.deepEqual(stage.events, ["answer of x", "answer of y"]);
  stage.peers.remove(ADDR, "refused");
  await stage.peers.cut(ADDR);
  await turn();
  assert.deepEqual(stage.events.slice(2), ["refused: no conversation: refused"]);
  await stage.pass(200);
  assert.equal(stage.events.length, 3, "the next attempt has its pause");
  await stage.pass(50);
  assert.equal(stage.events.length, 4);
});

Deno.test("watch: redial() does not wait for the pause to be over", async () => {
  using stage = new Stage();
  stage.peers.remove(ADDR, "unreachable");
  const watch = stage.start();
  await stage.pass(4000);
  stage.peers.put(ADDR, "x", () => answerOf("x"));
  watch.redial();
  await turn();
  await turn();
  assert.equal(stage.events.at(-1), "answer of x");
});

Deno.test("watch: our own process is told as such", async () => {
  using stage = new Stage();
  stage.peers.remove(ADDR, "self");
  stage.start();
  await stage.pass(100);
  assert.deepEqual(stage.events, ["self"]);
});

const WRONG: [string, unknown, RegExp][] = [
  ["no object", 7, /all of it/],
  ["an identity without an instance", { ...answerOf("x"), identity: {} }, /identity\.instance/],
  [
    "an address that is none",
    { ...answerOf("x"), known: [{ ...answerOf("x").known[0], addr: "x" }] },
    /known\.0\.addr/,
  ],
  ["a pattern that is none", { ...answerOf("x"), serves: ["("] }, /serves\.0/],
  ["not its own slot", { ...answerOf("x"), known: [] }, /known/],
  ["another instance", answerOf("y"), /another one answers/],
  ["too much", { ...answerOf("x"), publics: Array(1000).fill("tcp://a:1") }, /publics/],
];
for (const [name, answer, reason] of WRONG) {
  Deno.test(`watch: an answer with ${name} is none: ${reason.source}`, async () => {
    using stage = new Stage();
    stage.peers.put(ADDR, "x", () => answer);
    stage.start();
    await stage.pass(100);
    assert.match(stage.events.join(), reason);
    assert.equal(stage.peers.open, 0);
  });
}

Deno.test("watch: what a version does not tell is as it was before, and what is newer is left out", async () => {
  using stage = new Stage();
  stage.peers.put(ADDR, "x", () => ({ ...answerOf("x"), newer: 1 }));
  const answers: unknown[] = [];
  stage.start({ onAnswer: (answer) => answers.push(answer) });
  await stage.pass(100);
  const missing = { takesNew: true, serves: [], weight: 1, publics: [], edition: "", closed: {}, batch: 0 };
  assert.deepEqual(answers, [{ ...answerOf("x"), ...missing }]);
});

Deno.test("watch: who knows its own address only as any is where it answered", async () => {
  using stage = new Stage();
  const known = ["x", "y"].map((instance) => ({
    ...answerOf(instance).known[0],
    addr: { hostname: "0.0.0.0", port: 1 },
  }));
  stage.peers.put(ADDR, "x", () => ({ ...answerOf("x"), known }));
  const hosts: string[] = [];
  stage.start({ onAnswer: ({ known }) => hosts.push(...known.map(({ addr }) => addr.hostname)) });
  await stage.pass(100);
  assert.deepEqual(hosts, ["10.0.0.3", "0.0.0.0"]);
});

Deno.test("watch: closed while it dials, while it asks, and while it rests: nothing is said, and nothing stays open", async () => {
  for (const answer of [NEVER, answerOf("x")]) {
    using stage = new Stage();
    stage.peers.put(ADDR, "x", () => answer);
    const watch = stage.start();
    if (answer === NEVER) await turn();
    else await stage.pass(100);
    const before = [...stage.events];
    watch.close();
    await stage.pass(10_000);
    assert.deepEqual([stage.events, stage.peers.open], [before, 0]);
  }
  using stage = new Stage();
  stage.peers.put(ADDR, "x", () => answerOf("x"));
  stage.start().close();
  await stage.pass(10_000);
  assert.deepEqual([stage.events, stage.peers.open], [[], 0]);
});

Deno.test("watches are of the addresses that are wanted", async () => {
  using stage = new Stage();
  const other = { hostname: "10.0.0.4", port: 1250 };
  const tell = (addr: { hostname: string }, what: string) => stage.events.push(`${addr.hostname} ${what}`);
  const watches = new Watches({
    ...{ connect: stage.peers.connect, args: () => ({}), random: () => 1, onSelf: () => {} },
    onAnswer: (addr) => tell(addr, "up"),
    onLost: (addr, state) => tell(addr, state),
  });
  stage.peers.put(ADDR, "x", () => answerOf("x"));
  watches.set([ADDR, other]);
  await turn();
  await turn();
  assert.deepEqual(stage.events.splice(0).sort(), ["10.0.0.3 up", "10.0.0.4 refused"]);
  watches.set([other]);
  assert.equal(stage.peers.open, 0);
  await stage.pass(250);
  assert.deepEqual(stage.events.splice(0), ["10.0.0.4 refused"]);
  watches.close();
  watches.set([ADDR]);
  await stage.pass(5000);
  assert.deepEqual(stage.events, []);
});
