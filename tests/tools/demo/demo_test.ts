import assert from "node:assert/strict";
import { connect, type ResumableConnection } from "../../../lib/client/mod.ts";
import { startDemo } from "../../../lib/tools/demo/demo.ts";
import { TestLog } from "../../helpers/proxy.ts";

/** A demo, and what its page asks of it. */
function setUp() {
  const demo = startDemo({ listen: { hostname: "127.0.0.1", port: 0 }, log: new TestLog() });
  const url = `http://127.0.0.1:${demo.address.port}`;
  const ask = async (path: string, method = "GET") => {
    const answer = await fetch(`${url}${path}`, { method });
    const text = await answer.text();
    return { status: answer.status, value: answer.ok ? JSON.parse(text) : text };
  };
  return { ask, [Symbol.asyncDispose]: () => demo.stop() };
}

/** The numbers that come over a session from now on. */
async function* numbersOf(connection: ResumableConnection): AsyncGenerator<number> {
  let text = "";
  for await (const piece of connection.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (text + piece).split("\n");
    text = lines.pop()!;
    yield* lines.map(Number);
  }
}

Deno.test("the lines have the speed that was asked for last, of those that there are", async () => {
  await using demo = setUp();
  assert.equal((await demo.ask("/state")).value.speed, "full");
  for (const name of ["8", "32", "dead", "full"]) {
    assert.equal((await demo.ask(`/speed?name=${name}`, "POST")).value.speed, name);
    for (const wrong of ["/speed?name=toString", "/speed?name=9", "/speed"]) {
      assert.equal((await demo.ask(wrong, "POST")).status, 400);
    }
    assert.equal((await demo.ask("/state")).value.speed, name);
  }
});

Deno.test("a session over a line that is slow, and cut on top, gets every number", async () => {
  await using demo = setUp();
  const { value: { resumable } } = await demo.ask("/lines");
  const connection = await connect(`ws://127.0.0.1:${resumable}/scp`, { random: () => 0 });
  const numbers = numbersOf(connection);
  let last = (await numbers.next()).value;
  const count = async () => (await demo.ask("/state")).value.count;
  const readTo = async (count: number) => {
    while (last < count) assert.equal((await numbers.next()).value, ++last);
  };
  await demo.ask("/speed?name=8", "POST");
  while (await count() < last + 15);
  connection.cut();
  await readTo(await count());
  assert(await count() > last, "the line is not slow");
  await demo.ask("/speed?name=full", "POST");
  await readTo(await count() + 1);
  assert((await demo.ask("/state")).value.resumable > 1000 * (last - 1), "what was carried is not counted");
  connection.close();
  await connection.closed;
});
