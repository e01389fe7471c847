import assert from "node:assert/strict";
import { shortageOf } from "../../lib/link/shortage.ts";

const of = (code: string) => Object.assign(new Error("it failed"), { code });
const all = (...codes: string[]) => new AggregateError(codes.map(of), "they failed");

Deno.test("shortageOf() tells by its code what a failure is for want of, whatever it says", () => {
  const cases = [
    [of("EMFILE"), "descriptors"],
    [of("ENFILE"), "descriptors"],
    [of("EADDRNOTAVAIL"), "ports"],
    [of("ENOBUFS"), "memory"],
    [of("ENOMEM"), "memory"],
    [new Error("it failed", { cause: of("EMFILE") }), "descriptors"],
    [of("ECONNREFUSED"), undefined],
    [of("toString"), undefined],
    [new Error("Too many open files (EMFILE)"), undefined],
    ["EMFILE", undefined],
  ] as const;
  for (const [error, expected] of cases) assert.equal(shortageOf(error), expected);
});

Deno.test("shortageOf() of several addresses: one that could not be tried counts, one of a family we lack does not", () => {
  assert.equal(shortageOf(all("ECONNREFUSED", "EMFILE")), "descriptors");
  assert.equal(shortageOf(all("EADDRNOTAVAIL", "EMFILE")), "descriptors");
  assert.equal(shortageOf(all("EADDRNOTAVAIL", "EADDRNOTAVAIL")), "ports");
  assert.equal(shortageOf(all("EADDRNOTAVAIL", "ECONNREFUSED")), undefined);
  assert.equal(shortageOf(all("ETIMEDOUT", "ECONNREFUSED")), undefined);
  assert.equal(shortageOf(all()), undefined);
});
