import assert from "node:assert/strict";
import { refusalOf } from "../../../lib/admin/manager/guard.ts";

function status(headers: Record<string, string>, token = ""): number | undefined {
  return refusalOf(new Headers(headers), token)?.status;
}

Deno.test("without a token a request must be made to a loopback address: no page can reach it by a name of its own", () => {
  for (const host of ["127.0.0.1:6620", "localhost", "localhost:6620", "[::1]:6620", "127.9.9.9"]) {
    assert.equal(status({ host }), undefined, host);
  }
  for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:6620", "10.0.0.1", ""]) {
    assert.equal(status({ host }), 403, host);
  }
});

Deno.test("with a token every request must bear it, as a bearer token or as a password", () => {
  const host = "proxy.example";
  const basic = (text: string) => ({ host, authorization: `Basic ${btoa(text)}` });
  assert.equal(status({ host, authorization: "Bearer s3cret" }, "s3cret"), undefined);
  assert.equal(status({ host, authorization: "bearer s3cret" }, "s3cret"), undefined);
  assert.equal(status(basic("anybody:s3cret"), "s3cret"), undefined);
  assert.equal(status(basic(":with:colon"), "with:colon"), undefined);
  const wrong = ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "Basic %%%", "s3cret"];
  for (const authorization of wrong) assert.equal(status({ host, authorization }, "s3cret"), 401, authorization);
  assert.equal(status({ host }, "s3cret"), 401);
  assert.equal(status(basic("s3cret:"), "s3cret"), 401);
});

Deno.test("a refusal for want of the token lets a browser ask for it", () => {
  const response = refusalOf(new Headers(), "s3cret");
  assert.match(response!.headers.get("www-authenticate")!, /^Basic realm=/);
});

Deno.test("a request that a page of another site makes is refused, with the token too", () => {
  const good = { host: "127.0.0.1", authorization: "Bearer s3cret" };
  for (const site of ["cross-site", "same-site"]) {
    assert.equal(status({ ...good, "sec-fetch-site": site }, "s3cret"), 403, site);
    assert.equal(status({ host: "127.0.0.1", "sec-fetch-site": site }), 403, site);
  }
  for (const site of ["none", "same-origin"]) {
    assert.equal(status({ ...good, "sec-fetch-site": site }, "s3cret"), undefined, site);
  }
});
