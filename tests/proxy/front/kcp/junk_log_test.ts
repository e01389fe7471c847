import assert from "node:assert/strict";
import { JunkLog } from "../../../../lib/proxy/front/kcp/junk_log.ts";
import { TestLog } from "../../../helpers/proxy.ts";

Deno.test("what was dropped is one line in ten seconds, with how many there were since, by cause", () => {
  let now = 0;
  const log = new TestLog();
  const junk = new JunkLog(log, "0.0.0.0:1248", () => now);
  const peer = (hostname: string) => ({
    key: hostname,
    remote: { hostname, port: 9 },
    local: { hostname: "10.0.0.1", port: 1248 },
  });
  junk.add("short", peer("192.0.2.1"));
  for (const cause of ["fec", "unknown", "unknown"] as const) junk.add(cause, peer("192.0.2.2"));
  now = 9999;
  junk.add("fec", peer("192.0.2.3"));
  assert.equal(log.events.length, 1);
  now = 10_000;
  junk.add("short", peer("192.0.2.4"));
  const line = { event: "datagrams dropped", local: "0.0.0.0:1248" };
  assert.deepEqual(log.events, [
    { ...line, short: 1, last: "192.0.2.1:9" },
    { ...line, fec: 2, unknown: 2, short: 1, last: "192.0.2.4:9" },
  ]);
});
