import assert from "node:assert/strict";
import { backoff } from "../../../lib/client/backoff.ts";
import type { Link } from "../../../lib/link/link.ts";
import { openTo, passUntil } from "../../helpers/version2_client.ts";
import { AckedServer, type ResumeStep } from "../../helpers/acked_server.ts";
import { readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { stillTime } from "../../helpers/clock.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { settled, turn, until } from "../../helpers/turns.ts";

/** The same answer with an HMAC that has another last bit. */
const forged = (answer: string): string => answer.replace(/(.)=$/, (_, last) => (last === "A" ? "E" : "A") + "=");

const indices = (server: AckedServer) => server.resumes.map((content) => Number(content.split("\n")[1]));

Deno.test("an index is never used again, whatever became of its request; what fails is tried again", async () => {
  using clock = stillTime();
  const steps: ResumeStep[] = ["drop", "lose", "silence", forged, (a) => a.split("\n").slice(0, 2).join("\n"), 403];
  await using server = new AckedServer({ echo: true, steps });
  await using client = await openTo(server);
  await client.connection.write(pattern(0, 1000));
  assertSameBytes(await readExactly(client.connection, 1000), pattern(0, 1000));
  client.connection.cut();
  await client.connection.write(pattern(1000, 500));
  await passUntil(clock, () => client.events.length === 2);
  assert.deepEqual(client.events, ["lost: cut", "resumed: 7, 500"]);
  assert.deepEqual(indices(server), [1, 2, 3, 4, 5, 6, 7]);
  assertSameBytes(await readExactly(client.connection, 500), pattern(1000, 500));
  assertSameBytes(server.ends[0]!.received, pattern(0, 1500));
});

Deno.test("nothing is sent before the server's HMAC was checked, and nothing at all when it is wrong", async () => {
  using clock = stillTime();
  // What came over a link that was answered with a wrong one would be here before the right one is sent.
  const before: number[] = [];
  const right = (answer: string) => {
    before.push(server.ends[0]!.received.length);
    return answer;
  };
  await using server = new AckedServer({ steps: [forged, forged, right] });
  await using client = await openTo(server);
  const end = await server.end();
  client.connection.cut();
  await client.connection.write(pattern(0, 1000));
  await passUntil(clock, () => end.received.length === 1000);
  assert.deepEqual([before, end.losses.filter((loss) => loss === "closed by the peer").length], [[0], 3]);
});

Deno.test("refusals that anyone can say are failed attempts, but for three 404 in a row", async () => {
  using clock = stillTime();
  const steps: ResumeStep[] = [400, 401, 403, 404, 404, 406, 410, 501, 404, 404, "drop", 404];
  const count = steps.length;
  await using server = new AckedServer({ steps });
  const client = await openTo(server);
  client.connection.cut();
  await passUntil(clock, () => client.events.length === 2);
  assert.equal(client.events[1], `resumed: ${count + 1}, 0`);
  steps.push(404, 404, 404);
  client.connection.cut();
  const read = client.connection.read(new Uint8Array(1));
  const failed = assert.rejects(read, {
    name: "SessionEndedError",
    code: 6,
    message: /does not know the session: 404/,
  });
  await passUntil(clock, () => client.events.length === 4);
  assert.deepEqual(client.events.slice(2), ["lost: cut", "closed: 6"]);
  await failed;
  await assert.rejects(client.connection.write(new Uint8Array(1)), { code: 6 });
  await assert.rejects(client.connection.closeWrite(), { code: 6 });
  assert.equal(server.resumes.length, count + 1 + 3, "those before the session was resumed were counted");
});

Deno.test("a session is given up when the server's reuse_time has passed since the loss, or giveUpAfter", async () => {
  for (
    const [reuse, giveUpAfter, limit] of [[3000, undefined, 3000], [3000, 60_000, 3000], [3000, 500, 500]] as const
  ) {
    using clock = stillTime();
    await using server = new AckedServer({ reuse });
    const dials: number[] = [];
    const dial = () => {
      dials.push(performance.now());
      return dials.length > 1 ? Promise.reject(new Error("no network")) : tcp(server.address);
    };
    const client = await openTo(server, { dial, ...(giveUpAfter && { giveUpAfter }) });
    clock.pass(100_000);
    client.connection.cut();
    await passUntil(clock, () => client.events.length === 2);
    assert.deepEqual(client.events, ["lost: cut", "closed: 6"]);
    assert.match(String(await client.closed), new RegExp(`gave up after ${limit} ms: no network`));
    const pauses = dials.slice(1).map((at, i) => at - (dials[i]! || 100_000));
    assert.deepEqual(pauses, pauses.map((_, attempt) => backoff(attempt, () => 0)));
    assert(dials.at(-1)! - 100_000 > limit && dials.at(-2)! - 100_000 <= limit, `at ${dials}`);
  }
});

Deno.test("links that die at once make the pauses grow; one that carried something does not", async () => {
  using clock = stillTime();
  await using server = new AckedServer();
  let dials = 0;
  const dial = () => (dials++, tcp(server.address));
  await using client = await openTo(server, { dial });
  const end = await server.end();
  for (let round = 0; round < 4; round++) {
    client.connection.cut();
    clock.pass(backoff(round, () => 0) - 1);
    for (let i = 0; i < 10; i++) await turn();
    assert.equal(dials, round + 1, "it did not pause");
    await passUntil(clock, () => client.events.length === 2 * round + 2);
  }
  end.write(pattern(0, 1));
  await readExactly(client.connection, 1);
  client.connection.cut();
  clock.pass(25);
  await until(() => dials === 6, () => "the pause is not the shortest");
});

Deno.test("nothing is taken from the old link while an attempt is open, which ends it when it is given up", async () => {
  using clock = stillTime();
  await using server = new AckedServer({ steps: ["silence"] });
  await using client = await openTo(server, { handshakeTimeout: 5000 });
  const end = await server.end();
  client.connection.retryNow();
  await until(() => server.resumes.length === 1, () => "it did not try");
  end.write(pattern(0, 100));
  const buffer = new Uint8Array(200);
  const read = client.connection.read(buffer);
  for (let i = 0; i < 50; i++) await turn();
  assert.equal(await settled(read), false);
  assert.deepEqual(client.events, []);
  await client.connection.write(pattern(0, 10));
  await until(() => end.received.length === 10, () => "the old link is not written to");
  await passUntil(clock, () => client.events.length === 2);
  assert.deepEqual(client.events, ["lost: the handshake took longer than 5000 ms", "resumed: 2, 0"]);
  assert.equal(await read, 100);
  assertSameBytes(buffer.subarray(0, 100), pattern(0, 100));
  assert.equal(server.resumes[1]!.split("\n")[2], "0", "something was taken meanwhile");
});

Deno.test("the old link goes on after an attempt that sent no request, or was refused", async () => {
  using clock = stillTime();
  await using server = new AckedServer({ echo: true, steps: [404] });
  let dialled = 0;
  const dial = () => dialled++ === 1 ? Promise.reject(new Error("no network")) : tcp(server.address);
  await using client = await openTo(server, { dial });
  client.connection.retryNow();
  await passUntil(clock, () => server.resumes.length === 1);
  await client.connection.write(pattern(0, 100));
  assertSameBytes(await readExactly(client.connection, 100), pattern(0, 100));
  for (let i = 0; i < 100; i++) {
    clock.pass(25);
    await turn();
  }
  assert.deepEqual([client.events, dialled], [[], 3], "a link over which something came was replaced");
});

Deno.test("retryNow() replaces a link that is there, hurry() does not; both end a pause", async () => {
  using clock = stillTime();
  await using server = new AckedServer({ echo: true });
  let isDown = false;
  let dials = 0;
  const dial = () => {
    dials++;
    return isDown ? Promise.reject(new Error("no network")) : tcp(server.address);
  };
  await using client = await openTo(server, { dial });
  client.connection.hurry();
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(dials, 1);
  // What nobody reads does not keep it from that: it waits in the window.
  (await server.end()).write(pattern(0, 100));
  await until(() => client.connection.bytes.received === 100, () => "it does not come");
  client.connection.retryNow();
  await until(() => client.events.length === 2, () => "it was not replaced");
  assert.deepEqual(client.events, ["lost: the network may have changed", "resumed: 1, 0"]);
  assertSameBytes(await readExactly(client.connection, 100), pattern(0, 100));
  isDown = true;
  client.connection.cut();
  await passUntil(clock, () => dials >= 8);
  isDown = false;
  for (const again of ["hurry", "retryNow"] as const) {
    const before = client.events.length;
    client.connection[again]();
    await until(() => client.events.length > before, () => `${again}() did not try at once`);
    client.connection.cut();
  }
});

Deno.test("a server that says that it has more than was sent ends the session, with the code of a violation", async () => {
  using clock = stillTime();
  await using server = new AckedServer();
  const client = await openTo(server);
  const end = await server.end();
  // It says so itself, with its key.
  Object.defineProperty(end.stream.session, "received", { get: () => 5 });
  client.connection.cut();
  await passUntil(clock, () => client.events.length === 2);
  assert.deepEqual(client.events, ["lost: cut", "closed: 4"]);
});

Deno.test("a session that is closed while an answer is on its way leaves no link, and says goodbye", async () => {
  for (let steps = 0; steps < 30; steps++) {
    const links: Link[] = [];
    const close = () => {
      void (async () => {
        for (let step = 0; step < steps; step++) await (step % 3 === 2 ? turn() : Promise.resolve());
        client.connection.close();
      })();
    };
    await using server = new AckedServer({ steps: [(answer) => (close(), answer)] });
    const dial = async () => links[links.push(await tcp(server.address)) - 1]!;
    const client = await openTo(server, { dial });
    const end = await server.end();
    client.connection.cut();
    await client.closed;
    assert.equal(client.events.at(-1), "closed: in order");
    await until(() => end.closedWith === 0, () => `closed ${steps} steps after the answer it did not say so`);
    for (const link of links) await assert.rejects(link.read(new Uint8Array(1)), "a link was left open");
  }
});

Deno.test("a session that is closed when it is told of a loss, or of a resume, leaves no link, and says goodbye", async () => {
  for (const when of ["onLost", "onResumed"] as const) {
    const links: Link[] = [];
    await using server = new AckedServer();
    const dial = async () => links[links.push(await tcp(server.address)) - 1]!;
    const client = await openTo(server, { dial, [when]: () => client.connection.close() });
    const end = await server.end();
    client.connection.retryNow();
    await client.closed;
    await until(() => end.closedWith === 0, () => `closed by ${when} it did not say so`);
    assert.equal(links.length, 3);
    for (const link of links) await assert.rejects(link.read(new Uint8Array(1)), `${when}: a link was left open`);
  }
});
