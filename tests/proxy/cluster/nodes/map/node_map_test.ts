import assert from "node:assert/strict";
import type { Endpoint } from "../../../../../lib/link/link.ts";
import type { Known, NodeFacts } from "../../../../../lib/proxy/cluster/nodes/map/facts.ts";
import { NodeMap } from "../../../../../lib/proxy/cluster/nodes/map/node_map.ts";
import { Random } from "../../../../helpers/random.ts";

const REUSE = 30_000;
const at = (host: number): Endpoint => ({ hostname: `10.0.0.${host}`, port: 1250 });
const life = (slot: number, epoch: number, instance: string, addr = at(slot), when = 100): Known => {
  return { slot, epoch, instance, addr, at: when };
};
const facts = ({ slot, epoch, instance }: Known, more: Partial<NodeFacts> = {}): NodeFacts => ({
  ...{ identity: { slot, epoch, instance }, role: "node", takesNew: true },
  ...{ serves: ["game_.*"], weight: 50, publics: [], reuseTime: REUSE, ...more },
});

class Stage {
  now = 1000;
  readonly map = new NodeMap({ instance: "me", addr: at(99), reuseTime: REUSE, now: () => this.now });

  meet(known: Known, more: Partial<NodeFacts> = {}, others: Known[] = []): void {
    this.map.heard([known, ...others]);
    this.map.answered(known.addr, facts(known, more));
  }

  /** Of each view: slot, epoch, instance, state, since. */
  get lines(): string[] {
    return this.map.views().map(({ slot, epoch = "-", instance = "-", state, since, takesNew }) =>
      `${slot} ${epoch} ${instance} ${state} ${since}${takesNew ? " new" : ""}`
    );
  }
}

const CASES: [string, (stage: Stage) => void, string[]][] = [
  ["an address of the discovery that nobody has tried is unknown", ({ map }) => map.found([{ slot: 3, addr: at(3) }]), [
    "3 - - unknown 1000",
  ]],
  ["who answers there is the owner", (stage) => {
    stage.map.found([{ slot: 3, addr: at(3) }]);
    stage.now = 2000;
    stage.meet(life(3, 7, "x"));
  }, ["3 7 x up 2000 new"]],
  ["a node that is refused is gone, and its address stays", (stage) => {
    stage.map.found([{ slot: 3, addr: at(3) }]);
    stage.meet(life(3, 7, "x"));
    stage.now = 2000;
    stage.map.lost(at(3), "refused", "nobody listens");
  }, ["3 7 x refused 2000"]],
  ["a node is away since it was lost, however often it is dialled", (stage) => {
    stage.meet(life(3, 7, "x"));
    for (stage.now = 2000; stage.now < 9000; stage.now += 1000) stage.map.lost(at(3), "away", "no answer");
  }, ["3 7 x away 2000"]],
  ["a node that is away for longer than its own reuse time is forgotten", (stage) => {
    stage.meet(life(3, 7, "x"), { reuseTime: 5000 });
    stage.map.lost(at(3), "away", "no answer");
    stage.now += 5001;
  }, []],
  ["an address where nobody was for longer than our reuse time has no sessions", (stage) => {
    stage.map.found([{ slot: 3, addr: at(3) }]);
    stage.map.lost(at(3), "away", "no answer");
    stage.now += REUSE + 1;
  }, ["3 - - refused 1000"]],
  ["a new life ends the one that was met at its address", (stage) => {
    stage.meet(life(3, 7, "x"));
    stage.now = 2000;
    stage.meet(life(3, 8, "y"));
  }, ["3 8 y up 2000 new", "3 7 x refused 2000"]],
  ["a node that took another slot is the owner of the old one too, and begins sessions in the new one", (stage) => {
    const both = [life(3, 7, "x"), life(5, 2, "x", at(3), 200)];
    stage.meet(both[1]!, {}, both);
  }, ["3 7 x up 1000", "5 2 x up 1000 new"]],
  ["a node that is known from another one is unknown until it is dialled", ({ map }) => {
    map.heard([life(3, 7, "x")]);
  }, ["3 7 x unknown 1000"]],
  ["a node that another one tells of is gone when a later one is at its address", (stage) => {
    stage.meet(life(3, 8, "y", at(3), 200));
    stage.map.heard([life(3, 7, "x", at(3), 100), life(3, 9, "z", at(3), 300)]);
  }, ["3 9 z unknown 1000", "3 8 y up 1000 new", "3 7 x refused 1000"]],
  ["a former life at our own address is gone", ({ map }) => {
    map.heard([life(1, 3, "former", at(99))]);
  }, ["1 3 former refused 1000"]],
  ["a former life of the slot of who is there is gone", (stage) => {
    stage.meet(life(3, 8, "y"));
    stage.map.found([{ slot: 3, epoch: 7, instance: "x", addr: at(3) }]);
  }, ["3 8 y up 1000 new", "3 7 x refused 1000"]],
  ["of two that have a slot and an epoch, who took it earlier is first", (stage) => {
    stage.meet(life(3, 7, "a", at(4), 200));
    stage.meet(life(3, 7, "b", at(3), 100));
    stage.meet(life(3, 7, "c", at(5), 100));
  }, ["3 7 b up 1000 new", "3 7 c up 1000 new", "3 7 a up 1000 new"]],
  ["an address at which the owner of another slot is has nothing of its own", (stage) => {
    stage.map.found([{ slot: 4, addr: at(3) }]);
    stage.meet(life(3, 7, "x"));
  }, ["3 7 x up 1000 new", "4 - - refused 1000"]],
  ["what the discovery knows of an owner is known without a word of it", ({ map }) => {
    map.found([{ slot: 3, epoch: 7, instance: "x", addr: at(3) }]);
  }, ["3 7 x unknown 1000"]],
  ["this process is none of the others", (stage) => {
    stage.map.own = [life(1, 1, "me", at(99))];
    stage.map.found([{ slot: 1, addr: at(99) }, { slot: 1, epoch: 1, instance: "me", addr: at(98) }]);
    stage.map.heard(stage.map.own);
  }, []],
];
for (const [name, play, expected] of CASES) {
  Deno.test(`node map: ${name}`, () => {
    const stage = new Stage();
    play(stage);
    assert.deepEqual(stage.lines, expected);
    const other = new Stage();
    other.now = stage.now;
    other.map.own = stage.map.own;
    other.map.restore(structuredClone(stage.map.snapshot));
    const known = ({ map }: Stage) => [map.known(), map.targets(), map.epochs, map.lives()];
    assert.deepEqual([other.lines, ...known(other)], [expected, ...known(stage)], "of one that goes on with that");
    stage.map.sweep();
    assert.deepEqual(stage.lines, expected, "after a sweep");
  });
}

Deno.test("node map: one that was met before it had a slot is known where it was met, when it is gone too", () => {
  const stage = new Stage();
  stage.map.found([{ slot: 3, addr: at(3) }]);
  const { identity: _, ...rest } = facts(life(3, 7, "x"));
  stage.map.answered(at(3), { ...rest, identity: { instance: "x" } });
  stage.map.sweep();
  stage.meet(life(3, 7, "x"));
  stage.map.answered(at(3), { ...rest, identity: { instance: "y" } });
  assert.deepEqual(stage.lines, ["3 7 x refused 1000"]);
});

Deno.test("node map: only what was met, and is not gone, is told on, so that nothing is told round and round", () => {
  const stage = new Stage();
  stage.map.own = [life(1, 1, "me", at(99))];
  stage.meet(life(3, 7, "up"), {}, [life(6, 1, "heard of")]);
  stage.meet(life(4, 7, "away"));
  stage.meet(life(5, 7, "gone"));
  stage.map.lost(at(4), "away", "no answer");
  stage.map.lost(at(5), "refused", "nobody listens");
  assert.deepEqual(stage.map.known().map(({ instance }) => instance), ["me", "up", "away"]);
  stage.now += REUSE + 1;
  assert.deepEqual(stage.map.known().map(({ instance }) => instance), ["me", "up"]);
});

Deno.test("node map: addresses to watch are those of the discovery, and of owners that are at none of these, but not our own", () => {
  const stage = new Stage();
  stage.map.found([{ slot: 1, addr: at(99) }, { slot: 3, addr: { hostname: "node-3", port: 1 } }]);
  stage.map.heard([life(3, 7, "x"), life(4, 1, "y")]);
  const targets = () => stage.map.targets().map(({ hostname }) => hostname);
  assert.deepEqual(targets(), ["node-3", "10.0.0.3", "10.0.0.4"]);
  stage.map.answered({ hostname: "node-3", port: 1 }, facts(life(3, 7, "x")));
  assert.deepEqual(targets(), ["node-3", "10.0.0.4"]);
  stage.map.lost(at(4), "refused", "nobody listens");
  stage.now += REUSE + 1;
  assert.deepEqual(targets(), ["node-3"]);
  stage.map.answered(at(99), facts(life(1, 1, "stranger", at(99))));
  assert.deepEqual(targets(), ["10.0.0.99", "node-3"], "a stranger at our own address is watched");
});

Deno.test("node map: the largest epoch of a slot is remembered when its owner is forgotten", () => {
  const stage = new Stage();
  stage.meet(life(3, 7, "x"));
  stage.map.heard([life(3, 6, "w")]);
  stage.map.lost(at(3), "refused", "nobody listens");
  stage.now += REUSE + 1;
  stage.map.sweep();
  assert.deepEqual([stage.lines, ...stage.map.epochs], [[], [3, 7]]);
});

Deno.test("node map: who took our slot and epoch earlier, else has the smaller name, is a conflict of ours", () => {
  for (
    const [other, isOurs] of [
      [life(1, 1, "zz", at(7), 99), true],
      [life(1, 1, "aa", at(7), 100), true],
      [life(1, 1, "zz", at(7), 100), false],
      [life(1, 1, "aa", at(7), 101), false],
      [life(1, 2, "aa", at(7), 99), false],
      [life(2, 1, "aa", at(7), 99), false],
    ] as const
  ) {
    const stage = new Stage();
    stage.map.own = [life(1, 1, "me", at(99), 100)];
    stage.map.heard([other]);
    assert.equal(stage.map.conflict?.instance, isOurs ? other.instance : undefined, JSON.stringify(other));
    stage.map.lost(at(7), "refused", "nobody listens");
    assert.equal(stage.map.conflict, undefined, "one that is gone takes nothing");
  }
});

type Event = { now: number; play: (map: NodeMap) => void };

/** What one address, or the discovery, has told, in its order. */
function sourcesOf(random: Random): Event[][] {
  const lives = Array.from({ length: 12 }, (_, i) => {
    const slot = random.int(0, 3);
    return life(slot, random.int(1, 3), `i${i % 8}`, at(random.int(1, 6)), random.int(1, 5) * 100);
  });
  const any = () => lives[random.int(0, lives.length - 1)]!;
  const times = () => Array.from({ length: random.int(1, 6) }, () => random.int(1001, 60_000)).sort((a, b) => a - b);
  const addresses = [1, 2, 3, 4, 5, 6].map((host) =>
    times().map((time): Event => {
      const now = time + host / 10; // no two at once
      const dice = random.int(0, 5);
      if (dice === 0) return { now, play: (map) => map.lost(at(host), "refused", "nobody listens") };
      if (dice === 1) return { now, play: (map) => map.lost(at(host), "away", "no answer") };
      const [owner, others] = [any(), [any(), any()]];
      const play = (map: NodeMap) => {
        map.heard([owner, ...others]);
        map.answered(at(host), facts(owner, { reuseTime: 20_000 }));
      };
      return { now, play };
    })
  );
  const discovery = times().map((now): Event => {
    const found = Array.from({ length: random.int(0, 4) }, () => {
      const { slot, epoch, instance, addr } = any();
      return random.int(0, 1) ? { slot, addr } : { slot, epoch, instance, addr };
    });
    return { now, play: (map) => map.found(found) };
  });
  return [...addresses, discovery];
}

function viewsOf(events: Iterable<Event>): string[] {
  const stage = new Stage();
  for (const { now, play } of events) {
    stage.now = now;
    play(stage.map);
  }
  stage.now = 60_000;
  return stage.lines;
}

Deno.test("node map: in whatever order addresses and the discovery are heard of, the same is known", () => {
  const random = new Random();
  for (let round = 0; round < 500; round++) {
    const sources = sourcesOf(random);
    const inTime = viewsOf(sources.flat().toSorted((a, b) => a.now - b.now));
    const left = sources.map((events) => [...events]);
    const mixed: Event[] = [];
    while (left.some((events) => events.length > 0)) {
      const next = left[random.int(0, left.length - 1)]!.shift();
      if (next) mixed.push(next);
    }
    assert.deepEqual(viewsOf(mixed), inTime, `GOSCON_SEED=${random.seed}, round ${round}`);
  }
});
