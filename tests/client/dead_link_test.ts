import assert from "node:assert/strict";
import { connect } from "../../lib/client/mod.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { flakyTo } from "../helpers/flaky.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { pattern } from "../helpers/random.ts";
import { swallowingRelay } from "../helpers/swallowing_relay.ts";

/** Longer than any test. */
const NEVER = 2 ** 30;
const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

Deno.test("an echo goes on over links of which each dies without a word", async () => {
  await using proxy = TestProxy.start(ECHO);
  await using relay = flakyTo(proxy.address, { cutAfterBytes: 400, stall: NEVER });
  const connection = await connect(`tcp://${relay.address}`, { version: 1, silence: 100 });
  let resumes = 0;
  connection.on("resumed", () => resumes++);
  const writer = connection.writable.getWriter();
  const reader = connection.readable.getReader();
  // Of a longer answer the first part may come, after which none is owed.
  for (let at = 0; at < 700; at++) {
    await writer.write(pattern(at, 1));
    assertSameBytes((await reader.read()).value!, pattern(at, 1));
  }
  assert(resumes >= 2, `only ${resumes} resumes`);
  connection.close();
  await connection.closed;
});

Deno.test("retryNow() gets an echo at once whose link has died without a word", async () => {
  await using proxy = TestProxy.start(ECHO);
  await using relay = swallowingRelay(proxy.address);
  const connection = await connect(`tcp://${relay.address}`, { version: 1, silence: 0 });
  const lost: string[] = [];
  connection.on("lost", ({ detail }) => lost.push(detail.reason));
  await connection.writable.getWriter().write(pattern(0, 1000));
  connection.retryNow();
  const { value } = await connection.readable.getReader().read();
  assertSameBytes(value!, pattern(0, value!.length));
  assert.deepEqual(lost, ["the network may have changed"]);
  connection.close();
  await connection.closed;
});
