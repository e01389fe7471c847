import assert from "node:assert/strict";
import { byWeight, orderOf } from "../../../lib/proxy/upstream/balance.ts";
import { HostState } from "../../../lib/proxy/upstream/host_state.ts";
import { Random } from "../../helpers/random.ts";

const state = (name: string, weight: number) =>
  new HostState({
    name,
    weight,
    addr: { kind: "unix", path: `/${name}` },
    backup: false,
    drain: false,
    maxSessions: 0,
  });

const names = (order: Iterable<HostState>) => [...order].map(({ host }) => host.name).join("");

Deno.test("byWeight() chooses each host as often as its weight says, and each once", () => {
  const hosts = [state("a", 1), state("b", 2), state("c", 7)];
  const first: Record<string, number> = { a: 0, b: 0, c: 0 };
  // Every point of [0, 1) once, evenly: the counts are exact.
  for (let i = 0; i < 1000; i++) first[byWeight(hosts, () => i / 1000).next().value!.host.name]!++;
  assert.deepEqual(first, { a: 100, b: 200, c: 700 });
  const random = new Random();
  for (let i = 0; i < 100; i++) {
    const order = [...names(byWeight(hosts, () => random.next()))];
    assert.deepEqual(order.toSorted(), ["a", "b", "c"], `seed ${random.seed}`);
  }
  assert.deepEqual([...byWeight(hosts, () => 1)].length, 3, "a point at the very end is the last host's");
});

Deno.test("round_robin takes hosts in turn, the heavier ones oftener, and mixed", () => {
  const hosts = [state("a", 5), state("b", 1), state("c", 1)];
  const order = orderOf("round_robin", Math.random);
  // The sequence of the example in nginx's own description of the algorithm.
  const first = Array.from({ length: 7 }, () => names(order(hosts, "x"))[0]).join("");
  assert.equal(first, "aabacaa");
  assert.equal(names(order(hosts, "x")).length, 3, "the others follow");
});

Deno.test("least_conn takes the host with the fewest sessions for its weight", () => {
  const [a, b] = [state("a", 1), state("b", 3)];
  const order = orderOf("least_conn", () => 0);
  const taken = Array.from({ length: 8 }, () => {
    const first = [...order([a, b], "x")][0]!;
    first.begin();
    return first.host.name;
  });
  assert.deepEqual(taken.toSorted().join(""), "aabbbbbb");
});

Deno.test("source keeps a client at its host, whichever others come and go, and spreads clients by weight", () => {
  const hosts = [state("a", 1), state("b", 1), state("c", 2)];
  const order = orderOf("source", Math.random);
  const count: Record<string, number> = { a: 0, b: 0, c: 0 };
  for (let i = 0; i < 4000; i++) {
    const client = `10.0.${i >> 8}.${i & 255}`;
    const all = names(order(hosts, client));
    count[all[0]!]!++;
    assert.equal(names(order(hosts, client)), all);
    const without = hosts.filter(({ host }) => host.name !== all[2]);
    assert.equal(names(order(without, client)), all.slice(0, 2), "a host that left moved other clients");
  }
  for (const [name, share] of [["a", 1000], ["b", 1000], ["c", 2000]] as const) {
    assert(Math.abs(count[name]! - share) < 200, `${name} got ${count[name]} of 4000`);
  }
});
