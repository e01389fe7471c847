import assert from "node:assert/strict";
import { decodeRequest, encodeResponse, LONGEST_HEAD } from "../../../lib/admin/manager/http_message.ts";

const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

Deno.test("decodeRequest() gives the request when its head is whole, and its size, not a byte before", () => {
  const head = "POST /sessions/7?limit=1&filter=a%20b HTTP/1.1\r\nHost: a.example:1\r\nX-One: 1\r\nx-one:\t2 \r\n\r\n";
  for (let length = 0; length < head.length; length++) {
    assert.equal(decodeRequest(bytes(head.slice(0, length))), undefined, `${length} bytes`);
  }
  const { size, request } = decodeRequest(bytes(`${head}body`))!;
  assert.equal(size, head.length);
  assert.deepEqual([request.method, request.url.pathname], ["POST", "/sessions/7"]);
  assert.deepEqual([...request.url.searchParams], [["limit", "1"], ["filter", "a b"]]);
  assert.deepEqual([...request.headers], [["host", "a.example:1"], ["x-one", "1, 2"]]);
});

Deno.test("decodeRequest() takes what RFC 9112 wants a server to take", () => {
  const pathOf = (text: string) => decodeRequest(bytes(text))?.request.url.pathname;
  assert.equal(pathOf("GET / HTTP/1.1\r\n\r\n"), "/", "no header");
  assert.equal(pathOf("GET /healthz HTTP/1.0\r\n\r\n"), "/healthz", "HTTP/1.0");
  assert.equal(pathOf("\r\n\r\nGET /a HTTP/1.1\r\n\r\n"), "/a", "empty lines before it (2.2)");
  assert.equal(pathOf("GET /a HTTP/1.1\nhost: b\n\n"), "/a", "lines that end with LF alone (2.2)");
  assert.equal(pathOf("GET http://a.example/b HTTP/1.1\r\nhost: a.example\r\n\r\n"), "/b", "absolute form (3.2.2)");
  assert.equal(pathOf("GET //healthz HTTP/1.1\r\n\r\n"), "//healthz");
  assert.equal(pathOf("GET /\xff HTTP/1.1\r\nx: \xff\r\n\r\n"), "/%C3%BF");
});

Deno.test("decodeRequest() refuses what is no request", () => {
  const cases: [string, number][] = [
    ["GET /\r\n\r\n", 400],
    ["GET  / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.1 \r\n\r\n", 400],
    ["\x16\x03\x01\r\n\r\n", 400],
    ["OPTIONS * HTTP/1.1\r\n\r\n", 400],
    ["CONNECT a:1 b HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nno header\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nname : value\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nname: a\r\n folded\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nname: a\rb\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nname: a\0\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\n: a\r\n\r\n", 400],
    ["PRI * HTTP/2.0\r\n\r\n", 505],
    ["a".repeat(LONGEST_HEAD), 431],
    ["\r\n".repeat(LONGEST_HEAD / 2), 431],
  ];
  for (const [text, status] of cases) {
    assert.throws(() => decodeRequest(bytes(text)), { status }, JSON.stringify(text.slice(0, 60)));
  }
});

Deno.test("encodeResponse() gives status, headers and body, to HEAD without the body", async () => {
  const response = () => new Response("h\u00e9llo", { status: 404, headers: { "x-one": "1" } });
  const text = (encoded: Uint8Array) => new TextDecoder().decode(encoded).replace(/^date: .*GMT$/m, "date: D");
  const head = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain;charset=UTF-8\r\nx-one: 1\r\ncontent-length: 6\r\n" +
    "date: D\r\nconnection: close\r\n\r\n";
  assert.equal(text(await encodeResponse(response(), "GET")), `${head}h\u00e9llo`);
  assert.equal(text(await encodeResponse(response(), "HEAD")), head);
});
