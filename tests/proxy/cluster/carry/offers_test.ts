import assert from "node:assert/strict";
import { MOST_OFFERS, Offers } from "../../../../lib/proxy/cluster/carry/offers.ts";

Deno.test("an offer is taken once, whoever takes it", () => {
  const offers = Offers.of(2);
  const other = new Offers(offers.buffer);
  assert.equal(offers.make(1, 7), true);
  assert.equal(other.take(0, 7), false, "that of another thread");
  assert.equal(other.take(1, 8), false);
  assert.equal(other.take(1, 7), true);
  assert.equal(offers.take(1, 7), false);
});

Deno.test("an offer in the place of an old one is not taken for it", () => {
  const offers = Offers.of(1);
  assert.equal(offers.make(0, 1), true);
  assert.equal(offers.make(0, 1 + MOST_OFFERS), false, "the place is taken");
  assert.equal(offers.make(0, 2), true);
  assert.equal(offers.take(0, 1), true);
  assert.equal(offers.make(0, 1 + MOST_OFFERS), true);
  assert.equal(offers.take(0, 1), false);
  assert.equal(offers.take(0, 1 + MOST_OFFERS), true);
  // The largest number that there is.
  assert.equal(offers.make(0, 2 ** 31 - 1), true);
  assert.equal(offers.take(0, 2 ** 31 - 1), true);
});
