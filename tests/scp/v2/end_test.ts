import assert from "node:assert/strict";
import { END, meaningOf } from "../../../lib/scp/v2/mod.ts";

Deno.test("every code has a meaning of its own, and a code that is none is told by its number", () => {
  const codes = Object.values(END);
  assert.deepEqual(codes.toSorted(), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(new Set(codes.map(meaningOf)).size, 8);
  for (
    const [code, word] of [
      [END.done, /come to its end/],
      [END.shutdown, /shuts down/],
      [END.backend, /backend/],
      [END.operator, /operator/],
      [END.protocol, /protocol/],
      [END.limit, /limit/],
      [END.away, /away/],
      [END.gaveUp, /gave up/],
      [8, /code 8$/],
      [65535, /code 65535$/],
    ] as const
  ) assert.match(meaningOf(code), word);
});
