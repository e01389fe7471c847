import assert from "node:assert/strict";
import { clientOf, type ForwardedHeaders } from "../../../lib/proxy/front/forwarded.ts";
import { Networks } from "../../../lib/proxy/front/networks.ts";

const TRUSTED = new Networks(["10.0.0.0/8", "2001:db8:ffff::/48"]);
const PROXY = { hostname: "10.0.0.1", port: 4711 };

const client = (headers: ForwardedHeaders, peer = PROXY) => clientOf(headers, peer, TRUSTED);

Deno.test("clientOf() believes nobody who is not trusted", () => {
  const stranger = { hostname: "192.0.2.9", port: 1 };
  assert.deepEqual(client({ "x-forwarded-for": "198.51.100.7" }, stranger), stranger);
  assert.deepEqual(client({ forwarded: "for=198.51.100.7" }, stranger), stranger);
});

Deno.test("clientOf() is the last of X-Forwarded-For that is not trusted", () => {
  const cases: [string, string, number][] = [
    ["198.51.100.7", "198.51.100.7", 0],
    // What is before it the client may have written itself.
    ["10.9.9.9, 203.0.113.5, 198.51.100.7", "198.51.100.7", 0],
    ["198.51.100.7, 10.0.0.3,10.0.0.2", "198.51.100.7", 0],
    ["198.51.100.7:5555", "198.51.100.7", 5555],
    ["2001:db8::7", "2001:db8::7", 0],
    ["[2001:db8::7]:443", "2001:db8::7", 443],
    ["[2001:db8::7]", "2001:db8::7", 0],
    ["::ffff:198.51.100.7", "198.51.100.7", 0],
    ["10.0.0.9", "10.0.0.9", 0],
  ];
  for (const [header, hostname, port] of cases) {
    assert.deepEqual(client({ "x-forwarded-for": header }), { hostname, port }, header);
  }
});

Deno.test("clientOf() reads Forwarded where there is no X-Forwarded-For", () => {
  const cases: [string, string, number][] = [
    ["for=198.51.100.7", "198.51.100.7", 0],
    ['For="198.51.100.7:80";proto=http;by=10.0.0.1', "198.51.100.7", 80],
    ['proto=https; for="[2001:db8::7]:4711"', "2001:db8::7", 4711],
    ["for=203.0.113.5, for=198.51.100.7;host=x, for=10.0.0.2", "198.51.100.7", 0],
    ['for="[2001:db8:ffff::1]", for=10.0.0.2', "2001:db8:ffff::1", 0],
  ];
  for (const [header, hostname, port] of cases) {
    assert.deepEqual(client({ forwarded: header }), { hostname, port }, header);
  }
  assert.equal(client({ "x-forwarded-for": "198.51.100.7", forwarded: "for=203.0.113.5" }).hostname, "198.51.100.7");
});

Deno.test("clientOf() is the last hop that tells an address, where one does not", () => {
  for (const header of ["unknown", "_hidden", "", "198.51.100.7.8", "198.51.100.7, not an address"]) {
    assert.deepEqual(client({ "x-forwarded-for": header }), PROXY, header);
    assert.deepEqual(client({ forwarded: `for=${header}` }), PROXY, header);
  }
  assert.deepEqual(client({ "x-forwarded-for": "198.51.100.7, unknown, 10.0.0.2" }), { hostname: "10.0.0.2", port: 0 });
  assert.deepEqual(client({ forwarded: "by=10.0.0.1" }), PROXY);
  assert.deepEqual(client({}), PROXY);
});

Deno.test("clientOf() takes what is in quotes for what it is, whatever it looks like", () => {
  const cases: [string, string][] = [
    // Proxies tell the Host that the client asked for, which may look like anything.
    ['for=198.51.100.7;host="x,for=203.0.113.5"', "198.51.100.7"],
    ['host="x;for=203.0.113.5";for=198.51.100.7', "198.51.100.7"],
    ['for=198.51.100.7;host="\\",for=203.0.113.5;x="', "198.51.100.7"],
    ['for=198.51.100.7;host="\\",for=203.0.113.5;x=\\""', "198.51.100.7"],
    ['for=198.51.100.7;host="a, b", for=10.0.0.2;host="c;d"', "198.51.100.7"],
    // Nor does a quote that the client left open hide what the proxy added.
    ['for="x, for=198.51.100.7', "198.51.100.7"],
    ['for=203.0.113.5;x=", for=198.51.100.7;host="game.example"', "198.51.100.7"],
    ['for=203.0.113.5;x="\\, for=198.51.100.7;host="a\\"b"', "198.51.100.7"],
    ['for="19\\8.51.100.7"', "198.51.100.7"],
    ['FOR="[2001:db8::7]" ; proto=https', "2001:db8::7"],
    ["for=2001:db8::7", "2001:db8::7"],
    // Who is told twice is not told.
    ["for=198.51.100.7;for=203.0.113.5", PROXY.hostname],
    ["nofor=203.0.113.5", PROXY.hostname],
  ];
  for (const [header, hostname] of cases) assert.equal(client({ forwarded: header }).hostname, hostname, header);
});

Deno.test("clientOf() knows no port that is none", () => {
  assert.deepEqual(client({ forwarded: 'for="198.51.100.7:_hidden"' }), { hostname: "198.51.100.7", port: 0 });
  assert.deepEqual(client({ "x-forwarded-for": "198.51.100.7:65535" }), { hostname: "198.51.100.7", port: 65535 });
  assert.deepEqual(client({ "x-forwarded-for": "198.51.100.7:65536" }), PROXY);
});

Deno.test("clientOf() takes a header that comes more than once as one list", () => {
  assert.equal(client({ "x-forwarded-for": ["203.0.113.5", "198.51.100.7"] }).hostname, "198.51.100.7");
});
