import assert from "node:assert/strict";
import { connect as connectInBrowser } from "../../../lib/client/browser.ts";
import { dialFor } from "../../../lib/client/dialers.ts";
import { kcpDialers } from "../../../lib/client/kcp_dialers.ts";

Deno.test("a client of kcp:// is moved to kcp:// only; its URL is one of a host and a port", () => {
  const dialers = { ...kcpDialers({ timeout: 1000 }) };
  const { dialUrl } = dialFor("kcp://a:1", dialers);
  assert(dialUrl("kcp://b:2"));
  for (const url of ["tcp://b:2", "kcp://b", "kcp://b:2/path", "b:2"]) assert.equal(dialUrl(url), undefined, url);
  assert.throws(() => dialFor("kcp://a", dialers), /^Error: Cannot connect to kcp:\/\/a: expected kcp:\/\/host:port$/);
});

Deno.test("a browser says that it has no KCP, and what it has", async () => {
  await assert.rejects(
    connectInBrowser("kcp://a:1"),
    /^Error: Cannot connect to kcp:\/\/a:1: its scheme is none of ws: wss:$/,
  );
});
