import assert from "node:assert/strict";
import { dialFor } from "../../../lib/client/dialers.ts";
import { openTo, passUntil } from "../../helpers/version2_client.ts";
import { AckedServer, type AckedServerOptions } from "../../helpers/acked_server.ts";
import { readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { stillTime } from "../../helpers/clock.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { turn, until } from "../../helpers/turns.ts";

/** A client that moves half a second after it is told, and where it dials: its own address is "own". */
async function moving(options: AckedServerOptions, isDown: (where: string) => boolean = () => false) {
  const server = new AckedServer({ echo: true, ...options });
  const dialled: string[] = [];
  const dialTo = (where: string) => () => {
    dialled.push(where);
    return isDown(where) ? Promise.reject(new Error("no network")) : tcp(server.address);
  };
  const dialUrl = (url: string) => url.startsWith("tcp:") ? dialTo(url) : undefined;
  const client = await openTo(server, { dial: dialTo("own"), dialUrl, random: () => 0.5 });
  const end = await server.end();
  /** Tells it to move, and lets all but a moment of the time pass. */
  const move = async (clock: { pass: (ms: number) => void }, url: string) => {
    assert.equal(end.stream.move(url), true);
    end.write(pattern(0, 1));
    assert.equal(await client.connection.read(new Uint8Array(1)), 1);
    clock.pass(499);
    for (let i = 0; i < 50; i++) await turn();
    assert.deepEqual([dialled, client.events], [["own"], []], "it came earlier");
  };
  return {
    server,
    client,
    dialled,
    move,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const REASON = "lost: the server wants it to move";

Deno.test("a client that is told to move does within a second, where it is told; the old link goes on until then", async () => {
  for (const [url, where] of [["tcp://b:1", "tcp://b:1"], ["", "own"], ["wss://b/", "own"]] as const) {
    using clock = stillTime();
    await using stage = await moving({});
    const { client, dialled, move } = stage;
    await move(clock, url);
    await client.connection.write(pattern(0, 100));
    assertSameBytes(await readExactly(client.connection, 100), pattern(0, 100));
    clock.pass(1);
    await until(() => client.events.length === 2, () => "it did not move");
    assert.deepEqual([dialled, client.events], [["own", where], [REASON, "resumed: 1, 0"]]);
    await client.connection.write(pattern(100, 100));
    assertSameBytes(await readExactly(client.connection, 100), pattern(100, 100));
  }
});

Deno.test("one failure elsewhere, whichever, and the client tries its own address; the old link stays meanwhile", async () => {
  for (const isDown of [true, false]) {
    using clock = stillTime();
    await using stage = await moving({ steps: isDown ? [] : [404] }, (where) => isDown && where !== "own");
    const { client, dialled, move } = stage;
    await move(clock, "tcp://b:1");
    clock.pass(1);
    await until(() => dialled.length === 2, () => "it did not try");
    await client.connection.write(pattern(0, 100));
    assertSameBytes(await readExactly(client.connection, 100), pattern(0, 100));
    await passUntil(clock, () => client.events.length === 2);
    assert.deepEqual([dialled, client.events], [["own", "tcp://b:1", "own"], [REASON, "resumed: 2, 0"]]);
  }
});

Deno.test("a link that is lost before the move is replaced where it was to move to", async () => {
  using clock = stillTime();
  await using stage = await moving({});
  const { client, dialled, move } = stage;
  await move(clock, "tcp://b:1");
  client.connection.cut();
  clock.pass(1);
  await passUntil(clock, () => client.events.length === 2);
  assert.deepEqual([dialled, client.events], [["own", "tcp://b:1"], ["lost: cut", "resumed: 1, 0"]]);
  clock.pass(2000);
  for (let i = 0; i < 50; i++) await turn();
  assert.equal(dialled.length, 2);
});

Deno.test("a 404 from elsewhere is none of those that are the end", async () => {
  using clock = stillTime();
  await using stage = await moving({ steps: [404, 404, 404] });
  const { client, dialled, move } = stage;
  await move(clock, "tcp://b:1");
  client.connection.cut();
  await passUntil(clock, () => client.events.length === 2);
  assert.deepEqual(dialled, ["own", "tcp://b:1", "own", "own", "own"]);
  assert.deepEqual(client.events, ["lost: cut", "resumed: 4, 0"]);
});

Deno.test("dialFor() says how to dial other URLs of its scheme, and no others", () => {
  const urls: string[] = [];
  const dialer = (url: URL) => {
    if (url.port === "9") throw new Error("not this one");
    urls.push(url.href);
    return () => tcp("");
  };
  const { dialUrl } = dialFor("tcp://a:1", { "tcp:": dialer, "ws:": dialer });
  assert(dialUrl("tcp://b:2"));
  for (const url of ["ws://b:2", "b:2", "", "b", "tcp://b:9"]) assert.equal(dialUrl(url), undefined, url);
  assert.deepEqual(urls, ["tcp://a:1", "tcp://b:2"]);
});
