import assert from "node:assert/strict";
import { HttpServer, type HttpServerOptions } from "../../../lib/admin/manager/http_server.ts";
import { MANAGER_LISTENING } from "../../../lib/admin/manager/manager.ts";
import { formatEndpoint, type Link, writeAll } from "../../../lib/link/link.ts";
import { readExactly, readToEnd } from "../../helpers/backend.ts";
import { testEngine } from "../../helpers/engine.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { turn } from "../../helpers/turns.ts";

/** More than the kernel takes of what nobody reads. */
const MUCH = 16 * 1024 * 1024;
const REQUEST = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const HALF = "GET / HTTP/1.1\r\nHo";
/** Longer than any test. */
const LONG = 3_600_000;

/** A server that answers with the path, and with much for `/large`; `/held` waits for `release`. */
class TestServer implements AsyncDisposable {
  readonly server: HttpServer;
  readonly #engine = testEngine();
  readonly refused: string[] = [];
  readonly answering: string[] = [];
  readonly #links: Link[] = [];
  #shutdown: Promise<void> | undefined;
  readonly #released = Promise.withResolvers<void>();

  constructor(options: Partial<HttpServerOptions> = {}) {
    this.server = new HttpServer(this.#engine.listen({ hostname: "127.0.0.1", port: 0 }, MANAGER_LISTENING), {
      answer: async ({ url }) => {
        this.answering.push(url.pathname);
        if (url.pathname === "/held") await this.#released.promise;
        return new Response(url.pathname === "/large" ? new Uint8Array(MUCH) : url.pathname);
      },
      allows: () => true,
      most: 4,
      requestTimeout: LONG,
      answerTimeout: LONG,
      onRefused: ({ reason }) => this.refused.push(reason),
      onFailure: ({ reason }) => assert.fail(String(reason)),
      ...options,
    });
  }

  /** A connection over which this was sent. */
  async send(text: string): Promise<Link> {
    const link = await tcp(formatEndpoint(this.server.address));
    this.#links.push(link);
    await writeAll(link, new TextEncoder().encode(text));
    return link;
  }

  async ask(path: string): Promise<string> {
    return await received(await this.send(`GET ${path} HTTP/1.1\r\n\r\n`));
  }

  /** Waits until so many requests have come. */
  async answers(count: number): Promise<void> {
    while (this.answering.length < count) await turn();
  }

  shutdown(): Promise<void> {
    return this.#shutdown ??= this.server.shutdown();
  }

  release(): void {
    this.#released.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    for (const link of this.#links) link.close();
    await this.shutdown();
    await this.#engine.close();
  }
}

/** All that comes; nothing when the connection was reset. */
async function received(link: Link): Promise<string> {
  return new TextDecoder().decode(await readToEnd(link).catch(() => new Uint8Array()));
}

/** That an answer came whole. */
function assertAnswer(text: string, path: string): void {
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert(text.endsWith(`\r\n\r\n${path}`), text.slice(-200));
}

Deno.test("of more connections than may be, the one that has waited longest for its client makes room", async () => {
  await using server = new TestServer();
  const halves: Link[] = [];
  for (let i = 0; i < 4; i++) halves.push(await server.send(HALF));
  assertAnswer(await server.ask("/a"), "/a");
  assert.equal(await received(halves[0]!), "");
  assert.deepEqual(server.refused, ["more than 4 connections"]);
  for (const half of halves.slice(1)) {
    await writeAll(half, new TextEncoder().encode("st: a\r\n\r\n"));
    assertAnswer(await received(half), "/");
  }
});

Deno.test("a client that takes nothing of its answer makes room, one whose request is worked on does not", async () => {
  await using server = new TestServer();
  const held = await server.send(REQUEST.replace("/", "/held"));
  await server.answers(1);
  for (let i = 0; i < 3; i++) await readExactly(await server.send(REQUEST.replace("/", "/large")), 1000);
  for (let i = 0; i < 8; i++) assertAnswer(await server.ask("/b"), "/b");
  server.release();
  assertAnswer(await received(held), "/held");
});

Deno.test("when as many requests as may be are worked on, the next connection is closed at once", async () => {
  await using server = new TestServer();
  const held = [];
  for (let i = 0; i < 4; i++) held.push(await server.send(REQUEST.replace("/", "/held")));
  await server.answers(4);
  assert.equal(await server.ask("/a"), "");
  server.release();
  for (const link of held) assertAnswer(await received(link), "/held");
  assertAnswer(await server.ask("/a"), "/a");
});

Deno.test("a client that is slow to send its request is told so, and one that is slow to take its answer is closed", async () => {
  await using slow = new TestServer({ requestTimeout: 20 });
  for (const text of ["", HALF]) {
    assert.match(
      await received(await slow.send(text)),
      /^HTTP\/1\.1 408 Request Timeout\r\n[^]*\r\n\r\nthe request did not come within 20 ms\n$/,
    );
  }
  await using stuck = new TestServer({ answerTimeout: 20 });
  await stuck.send(REQUEST.replace("/", "/large"));
  await stuck.answers(1);
  await stuck.shutdown();
});

Deno.test("an address that is not allowed gets nothing", async () => {
  const asked: string[] = [];
  let allowed = false;
  await using server = new TestServer({ allows: (address) => asked.push(address) > 0 && allowed });
  assert.equal(await server.ask("/a"), "");
  assert.deepEqual([server.answering, server.refused, asked], [[], ["denied"], ["127.0.0.1"]]);
  allowed = true;
  assertAnswer(await server.ask("/a"), "/a");
});

Deno.test("each connection has one answer, whatever its client sends after its request, and that comes whole", async () => {
  await using server = new TestServer();
  for (const after of [REQUEST.repeat(100), "x".repeat(MUCH)]) {
    assertAnswer(await received(await server.send(REQUEST + after)), "/");
  }
  const ended = await server.send(REQUEST);
  await ended.closeWrite();
  assertAnswer(await received(ended), "/");
  assert.equal(server.answering.length, 3);
});

Deno.test("what is no request is told so", async () => {
  await using server = new TestServer();
  assert.match(await received(await server.send("hello\r\n\r\n")), /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(await received(await server.send("x".repeat(100_000))), /^HTTP\/1\.1 431 /);
  assert.deepEqual(server.answering, []);
});

Deno.test("shutdown() closes who waits for nothing but itself, and gives the answers that are under way", async () => {
  await using server = new TestServer();
  const [half, held] = [await server.send(HALF), await server.send(REQUEST.replace("/", "/held"))];
  await server.answers(1);
  const much = await server.send(REQUEST.replace("/", "/large"));
  await readExactly(much, 1000);
  const ended = server.shutdown();
  assert.equal(await received(half), "");
  server.release();
  assertAnswer(await received(held), "/held");
  assert((await readToEnd(much)).length > MUCH - 1000);
  await ended;
  Deno.listen({ hostname: "127.0.0.1", port: server.server.address.port }).close();
});
