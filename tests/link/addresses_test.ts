import assert from "node:assert/strict";
import { Addresses, LAST_FOR } from "../../lib/link/addresses.ts";
import { Random } from "../../lib/random.ts";

const [A, B, C] = ["10.0.0.1", "10.0.0.2", "::1"].map((hostname) => ({ hostname, port: 1 }));
const ALL = [A!, B!, C!];

Deno.test("Addresses order() gives each address, in an order of which each is as likely as any other", () => {
  const random = new Random(1);
  const addresses = new Addresses({ random: () => random.next(), now: () => 0 });
  const seen = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = addresses.order(ALL).map((endpoint) => ALL.indexOf(endpoint)).join("");
    seen.set(order, (seen.get(order) ?? 0) + 1);
  }
  assert.deepEqual([...seen.keys()].toSorted(), ["012", "021", "102", "120", "201", "210"]);
  for (const [order, count] of seen) assert(count > 900 && count < 1100, `${order}: ${count}`);
});

Deno.test("Addresses order() puts those that failed of late last, until they answer or the time is over", () => {
  let now = 0;
  const addresses = new Addresses({ random: () => 0.99, now: () => now });
  const order = () => addresses.order(ALL).map(({ hostname }) => hostname);
  assert.deepEqual(order(), ["10.0.0.1", "10.0.0.2", "::1"]);
  addresses.failed(A!);
  assert.deepEqual(order(), ["10.0.0.2", "::1", "10.0.0.1"]);
  addresses.failed(B!);
  assert.deepEqual(order(), ["::1", "10.0.0.1", "10.0.0.2"]);
  addresses.answered(A!);
  assert.deepEqual(order(), ["10.0.0.1", "::1", "10.0.0.2"]);
  now = LAST_FOR - 1;
  assert.deepEqual(order(), ["10.0.0.1", "::1", "10.0.0.2"]);
  now = LAST_FOR;
  assert.deepEqual(order(), ["10.0.0.1", "10.0.0.2", "::1"]);
});

Deno.test("Addresses remembers no end of failures: the oldest are forgotten", () => {
  const addresses = new Addresses({ random: () => 0.99, now: () => 0 });
  for (const endpoint of [A!, B!, A!]) addresses.failed(endpoint);
  for (let port = 2; port < 1025; port++) addresses.failed({ hostname: "10.0.0.9", port });
  assert.deepEqual(addresses.order(ALL), [B, C, A]);
});
