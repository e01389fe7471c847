import assert from "node:assert/strict";
import fc from "fast-check";
import { type Dialect, Session } from "../../lib/scp/mod.ts";
import { concat } from "../helpers/bytes.ts";
import { pattern } from "../helpers/random.ts";

/** As it would be after it went to another process. */
const sent = <T>(value: T): T => structuredClone(value);

const step = fc.record({
  way: fc.constantFrom("down" as const, "up" as const),
  length: fc.integer({ min: 1, max: 400 }),
});

Deno.test("a session that is written down at any moment goes on: every byte, both ways, and what is sent again", () => {
  const cases = fc.record({
    dialect: fc.constantFrom<Dialect>("goscon", "plain"),
    cacheSize: fc.integer({ min: 1, max: 1000 }),
    steps: fc.array(step, { minLength: 1, maxLength: 20 }),
    at: fc.nat(19),
  });
  fc.assert(fc.property(cases, ({ dialect, cacheSize, steps, at }) => {
    const options = { id: 7, secret: 0x123456789abcdef0n, dialect, cacheSize };
    const client = new Session({ ...options, cacheSize: 100_000 });
    let proxy = new Session(options);
    let untouched: Session | undefined;
    let [down, up] = [0, 0];
    steps.forEach(({ way, length }, i) => {
      if (i === at % steps.length) {
        untouched = Session.restore(proxy.snapshot);
        proxy = Session.restore(sent(proxy.snapshot));
      }
      const [from, to, position] = way === "down" ? [proxy, client, down] : [client, proxy, up];
      const bytes = pattern(position, length);
      from.seal(bytes);
      to.open(bytes);
      assert.deepEqual(bytes, pattern(position, length));
      if (way === "down") down += length;
      else up += length;
    });
    assert.deepEqual([proxy.sent, proxy.received], [down, up]);
    const held = Math.min(down, cacheSize);
    const missing = concat(proxy.missing(down - held));
    assert.equal(missing.length, held);
    if (down > cacheSize) assert.throws(() => proxy.missing(down - held - 1), { code: 406 });
    const request = client.nextResume();
    proxy.authorize(request);
    assert.throws(() => proxy.authorize(request), { code: 403 });
    // A copy that was made goes its own way.
    assert(untouched!.sent <= down && untouched!.received <= up);
  }));
});
