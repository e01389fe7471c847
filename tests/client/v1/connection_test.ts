import assert from "node:assert/strict";
import { backoff } from "../../../lib/client/backoff.ts";
import { Connection } from "../../helpers/version1_connection.ts";
import { FlowLink } from "../../../lib/link/flow_link.ts";
import { type Link, reasonOf, writeAll } from "../../../lib/link/link.ts";
import { decodeRecord, parseRequest, ScpError } from "../../../lib/scp/mod.ts";
import { Backend, echo, readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { byHand } from "../../helpers/connection_by_hand.ts";
import { ManualFlow } from "../../helpers/manual_flow.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { record, tcp } from "../../helpers/raw_client.ts";
import { scripted } from "../../helpers/scripted.ts";
import { turn } from "../../helpers/turns.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

/** What the callbacks of a connection said, in order. */
function heard(): {
  events: string[];
  closed: Promise<unknown>;
  options: Partial<Parameters<typeof Connection.open>[0]>;
} {
  const events: string[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<unknown>();
  return {
    events,
    closed,
    options: {
      random: () => 0,
      onLost: (reason) => events.push(`lost: ${reason}`),
      onResumed: ({ attempts, resent }) => events.push(`resumed: ${attempts}, ${resent}`),
      onClosed: (error) => {
        events.push(`closed: ${error === undefined ? "in order" : reasonOf(error)}`);
        resolve(error);
      },
    },
  };
}

Deno.test("backoff() doubles from 50 ms to 5 s, of which chance takes at most the half", () => {
  const delays = (random: number) => [0, 1, 2, 6, 7, 100].map((attempt) => backoff(attempt, () => random));
  assert.deepEqual(delays(0), [25, 50, 100, 1600, 2500, 2500]);
  assert.deepEqual(delays(1), [50, 100, 200, 3200, 5000, 5000]);
});

Deno.test("a connection that is cut resumes by itself, and tells", async () => {
  await using proxy = TestProxy.start(ECHO);
  const { events, options } = heard();
  const connection = await Connection.open({ ...options, dial: () => tcp(proxy.address) });
  for (let round = 0; round < 3; round++) {
    await connection.write(pattern(round, 1000));
    assertSameBytes(await readExactly(connection, 1000), pattern(round, 1000));
    await connection.cut();
  }
  await connection.write(pattern(3, 10));
  assertSameBytes(await readExactly(connection, 10), pattern(3, 10));
  assert.deepEqual(connection.bytes, { received: 3010, sent: 3010 });
  connection.close();
  connection.close();
  assert.equal(events.filter((event) => event === "lost: cut").length, 3);
  assert.deepEqual(events.slice(-2), ["resumed: 1, 0", "closed: in order"]);
});

Deno.test("a proxy that cannot be reached for a while is dialled again", async () => {
  await using proxy = TestProxy.start(ECHO);
  const { events, options } = heard();
  let failures = 0;
  const connection = await Connection.open({
    ...options,
    dial: () => failures-- > 0 ? Promise.reject(new Error("no network")) : tcp(proxy.address),
  });
  failures = 2;
  await connection.cut();
  await connection.write(pattern(0, 10));
  assertSameBytes(await readExactly(connection, 10), pattern(0, 10));
  assert.deepEqual(events, ["lost: cut", "resumed: 3, 0"]);
  connection.close();
});

Deno.test("a connection whose proxy is gone is given up after giveUpAfter, with the reason", async () => {
  const proxy = TestProxy.start(ECHO);
  const { closed, options } = heard();
  const { address } = proxy;
  const connection = await Connection.open({ ...options, dial: () => tcp(address), giveUpAfter: 100 });
  await proxy[Symbol.asyncDispose]();
  await assert.rejects(connection.read(new Uint8Array(1)), /gave up after 100 ms: .*refused/);
  assert.match(reasonOf(await closed), /gave up after 100 ms/);
  await assert.rejects(connection.write(new Uint8Array(1)), /gave up/);
});

Deno.test("the end that the backend makes is an end, not an error", async () => {
  await using backend = new Backend().serve((link) => writeAll(link, pattern(0, 5000)));
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const { closed, options } = heard();
  const connection = await Connection.open({ ...options, dial: () => tcp(proxy.address) });
  assertSameBytes(await readToEnd(connection), pattern(0, 5000));
  assert.equal(await closed, undefined);
});

Deno.test("closeWrite() ends the session in order, after what was written", async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { reuse_time: "50ms" },
    shutdown_timeout: "10ms",
  });
  const { closed, options } = heard();
  const connection = await Connection.open({ ...options, dial: () => tcp(proxy.address) });
  const far = await backend.accept();
  const read = connection.read(new Uint8Array(1));
  await connection.write(pattern(0, 5000));
  await connection.closeWrite();
  assert.equal(await read, null);
  assert.equal(await closed, undefined);
  assertSameBytes(await readToEnd(far), pattern(0, 5000));
});

Deno.test("open() rejects with the code when the proxy refuses, and with the reason when there is none", async () => {
  const refused: [answers: string[], expected: RegExp | object][] = [
    [["0\n400"], { name: "ScpError", code: 400, message: /refused a new session/ }],
    [["7\nno key"], { name: "ScpError", code: 400 }],
    [[], /closed in the handshake/],
  ];
  for (const [answers, expected] of refused) {
    await using server = scripted(...answers);
    await assert.rejects(Connection.open({ dial: () => tcp(server.address) }), expected);
  }
});

Deno.test("open() is given up at once by its signal, and after handshakeTimeout by itself", async () => {
  await using silent = new Backend();
  const dial = () => tcp(silent.address);
  await assert.rejects(Connection.open({ dial, handshakeTimeout: 50 }), /took longer than 50 ms/);
  const abort = new AbortController();
  const opening = Connection.open({ dial, signal: abort.signal });
  await silent.accept();
  const reason = new Error("not wanted any more");
  abort.abort(reason);
  await assert.rejects(opening, reason);
});

Deno.test("the answers that no later attempt could change end the connection, the others do not", async () => {
  const newAnswer = "7\n782riWdFIwE=";
  for (const [code, final] of [[400, true], [401, true], [406, true], [403, false], [501, false]] as const) {
    await using server = scripted(newAnswer, `0\n${code}`, "0\n200", `0\n404`);
    const { events, closed, options } = heard();
    const connection = await Connection.open({ ...options, dial: () => tcp(server.address) });
    const outcome = await readToEnd(connection).catch((error) => error);
    if (final) assert.equal((outcome as ScpError).code, code);
    // Resumed at the second attempt; then closed by the server, which knows it no more: the end.
    else assert.deepEqual([events[1], outcome.length], ["resumed: 2, 0", 0]);
    assert.equal(await closed instanceof ScpError, final);
  }
});

Deno.test("a 404 after the network broke is an error: nobody knows what was lost", async () => {
  await using server = scripted("7\n782riWdFIwE=", "0\n404");
  const { closed, options } = heard();
  const hold = Promise.withResolvers<void>();
  const connection = await Connection.open({
    ...options,
    dial: async () => {
      const link = await tcp(server.address);
      return { ...held(link, hold.promise) };
    },
  });
  await connection.cut();
  hold.resolve();
  assert.equal((await closed as ScpError).code, 404);
});

Deno.test("an end of stream is the end when a resume after it got 200, and ended again without a byte", async () => {
  await using server = scripted("7\n782riWdFIwE=", "0\n200");
  const { closed, events, options } = heard();
  const connection = await Connection.open({ ...options, dial: () => tcp(server.address) });
  assert.equal(await connection.read(new Uint8Array(1)), null);
  assert.equal(await closed, undefined);
  assert.deepEqual(events.at(-3), "resumed: 1, 0");
});

Deno.test("a server that lacks what was sent is to end the stream again and again, to be believed", async () => {
  await using server = scripted("7\n782riWdFIwE=", "4\n200", "8\n200", "8\n200", "8\n200", "8\n200", "0\n401");
  const { closed, events, options } = heard();
  const connection = await Connection.open({ ...options, dial: () => tcp(server.address) });
  await connection.write(pattern(0, 10));
  assert.equal(await connection.read(new Uint8Array(1)), null);
  assert.equal(await closed, undefined);
  assert.deepEqual(events.filter((event) => event.startsWith("resumed")), [
    "resumed: 1, 6",
    ...Array(4).fill("resumed: 1, 2"),
  ]);
});

Deno.test("a 404 after an end of stream is an error, unless the server is one that forgets", async () => {
  for (const serverForgets of [false, true]) {
    await using server = scripted("7\n782riWdFIwE=", "0\n404");
    const { closed, options } = heard();
    const connection = await Connection.open({ ...options, serverForgets, dial: () => tcp(server.address) });
    const read = connection.read(new Uint8Array(1));
    if (serverForgets) assert.equal(await read, null);
    else await assert.rejects(read, { code: 404 });
    assert.equal(await closed === undefined, serverForgets);
  }
});

/** A link whose end of stream is not seen until `hold` settles. */
function held(link: Link, hold: Promise<void>): Link {
  return {
    read: async (buffer) => {
      const n = await link.read(buffer);
      if (n === null) await hold;
      return n;
    },
    write: (bytes) => link.write(bytes),
    closeWrite: () => link.closeWrite(),
    close: () => link.close(),
  };
}

Deno.test("an answer that says more was received than was sent ends the connection", async () => {
  await using server = scripted("7\n782riWdFIwE=", "5\n200");
  const { closed, options } = heard();
  const connection = await Connection.open({ ...options, dial: () => tcp(server.address) });
  await assert.rejects(connection.read(new Uint8Array(1)), { code: 406 });
  assert.equal((await closed as ScpError).code, 406);
});

Deno.test("a session closed while it resumes leaves no connection behind", async () => {
  await using backend = new Backend().serve(echo);
  await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
  const { closed, options } = heard();
  let dialled = 0;
  const connection = await Connection.open({
    ...options,
    dial: async () => {
      const link = await tcp(proxy.address);
      if (dialled++ > 0) connection.close();
      return link;
    },
  });
  await connection.cut();
  assert.equal(await closed, undefined);
  assert.equal(await connection.read(new Uint8Array(1)), null);
});

Deno.test("a resume waits for what the old connection still brings, and tells it", async () => {
  await using hand = await byHand();
  const { connection, links, pass } = hand;
  const old = links[0]!;
  const buffer = new Uint8Array(10);
  const read = connection.read(buffer);
  old.write = () => Promise.reject(new Error("reset"));
  await connection.write(pattern(0, 3));
  await pass(backoff(0, () => 0));
  assert.equal(old.reading, true);
  assert.equal(links.length, 1, "it dialled while the old connection was still being read");
  old.bring(new TextEncoder().encode("late"));
  await turn();
  assert.equal(await read, 4);
  const next = connection.read(buffer);
  old.bring(null);
  await turn();
  await pass(backoff(0, () => 0));
  connection.close();
  await next;
  const told = parseRequest(decodeRecord(concat(links[1]!.written))!.content);
  assert(told.kind === "resume");
  assert.deepEqual([told.index, told.received], [1, 4]);
});

Deno.test("close() during a pause between attempts ends them", async () => {
  await using hand = await byHand();
  const { connection, links, pass } = hand;
  await connection.cut();
  await pass(backoff(0, () => 0) - 1);
  connection.close();
  await pass(60_000);
  assert.equal(links.length, 1);
});

Deno.test("retryNow() ends a pause, and the pauses begin with the shortest again", async () => {
  await using hand = await byHand();
  const { connection, links, pass } = hand;
  connection.retryNow();
  await connection.cut();
  for (let attempt = 0; attempt < 6; attempt++) {
    await pass(backoff(attempt, () => 0));
    links.at(-1)!.bring(null);
    await turn();
  }
  assert.equal(links.length, 7);
  await pass(backoff(6, () => 0) - 1);
  assert.equal(links.length, 7);
  connection.retryNow();
  await turn();
  assert.equal(links.length, 8, "it did not try at once");
  links[7]!.bring(null);
  await pass(0);
  await pass(backoff(0, () => 0) - 1);
  assert.equal(links.length, 8);
  await pass(1);
  assert.equal(links.length, 9, "its next pause is not the shortest");
});

Deno.test("pauses go on growing over resumes that die at once, until a link carries something", async () => {
  await using hand = await byHand();
  const { connection, links, pass } = hand;
  const read = connection.read(new Uint8Array(1));
  links[0]!.bring(new Error("reset"));
  await turn();
  for (let attempt = 0; attempt < 6; attempt++) {
    await pass(backoff(attempt, () => 0) - 1);
    assert.equal(links.length, attempt + 1, "it came earlier");
    await pass(1);
    assert.equal(links.length, attempt + 2, "it did not come");
    links.at(-1)!.bring(record("0\n200"));
    await turn();
    links.at(-1)!.bring(new Error("reset"));
    await turn();
  }
  await pass(backoff(6, () => 0));
  links.at(-1)!.bring(record("0\n200"));
  await turn();
  links.at(-1)!.bring(new Uint8Array(1));
  assert.equal(await read, 1);
  void connection.read(new Uint8Array(1)).catch(() => {});
  links.at(-1)!.bring(new Error("reset"));
  await turn();
  await pass(backoff(0, () => 0));
  assert.equal(links.length, 9, "the pause is not the shortest after a link that carried a byte");
});

Deno.test("resumes that die at once do not keep giveUpAfter from taking effect", async () => {
  await using hand = await byHand({ giveUpAfter: -1 });
  const { connection, links, pass } = hand;
  const read = connection.read(new Uint8Array(1));
  links[0]!.bring(new Error("reset"));
  await turn();
  await pass(backoff(0, () => 0));
  links[1]!.bring(record("0\n200"));
  await turn();
  links[1]!.bring(new Error("reset"));
  await assert.rejects(read, /gave up after -1 ms: reset/);
});

Deno.test("retryNow() gives an attempt up that waits for an answer, for one more even after giveUpAfter", async () => {
  await using hand = await byHand({ giveUpAfter: -1 });
  const { connection, links, pass, resumed } = hand;
  await connection.cut();
  await pass(backoff(0, () => 0));
  assert.deepEqual([links.length, links[1]!.reading], [2, true]);
  connection.retryNow();
  assert.equal(links[1]!.closed, true);
  links[1]!.bring(new Error("closed"));
  await turn();
  assert.deepEqual([links.length, links[2]!.reading], [3, true]);
  links[2]!.bring(record("0\n200"));
  await turn();
  assert.deepEqual(resumed, [2]);
});

Deno.test("close() with an error makes reads and writes reject with it, whatever it is", async () => {
  for (const error of [new Error("enough"), null, 0]) {
    await using hand = await byHand();
    const { connection } = hand;
    await connection.cut();
    const read = connection.read(new Uint8Array(1));
    connection.close(error);
    const outcomes = await Promise.allSettled([read, connection.write(new Uint8Array(1))]);
    assert.deepEqual(outcomes.map((o) => o.status === "rejected" && o.reason), [error, error]);
  }
});

Deno.test("close() during a handshake that gets no answer closes its connection at once", async () => {
  await using hand = await byHand();
  const { connection, links, pass } = hand;
  await connection.cut();
  await pass(backoff(0, () => 0));
  assert.deepEqual([links.length, links[1]!.reading, links[1]!.closed], [2, true, false]);
  connection.close();
  assert.equal(links[1]!.closed, true);
});

Deno.test("close() leaves no connection open, at whatever step after the answer it comes", async () => {
  for (let steps = 0; steps < 20; steps++) {
    await using hand = await byHand();
    const { connection, links, pass } = hand;
    await connection.cut();
    await pass(backoff(0, () => 0));
    links[1]!.bring(record("0\n200"));
    for (let step = 0; step < steps; step++) await Promise.resolve();
    connection.close();
    await turn();
    assert.equal(links[1]!.closed, true, `it came ${steps} steps after the answer`);
  }
});

Deno.test("open() with a signal that is aborted already rejects, and leaves no session", async () => {
  await using proxy = TestProxy.start(ECHO);
  const links: Link[] = [];
  const dial = async () => links[links.push(await tcp(proxy.address)) - 1]!;
  await assert.rejects(Connection.open({ dial, signal: AbortSignal.abort(), giveUpAfter: 0 }), { name: "AbortError" });
  for (const link of links) await assert.rejects(link.read(new Uint8Array(1)), "it was left open");
  while ((await proxy.gauges()).handshakes > 0) await turn();
  assert.equal((await proxy.stats()).sessionsBegun, 0);
});

Deno.test("a link that breaks as it is given what was missed is told as resumed, and then as lost", async () => {
  const flows = [new ManualFlow(), new ManualFlow(), new ManualFlow()];
  let dialled = 0;
  const { events, options } = heard();
  const dial = () => Promise.resolve(new FlowLink(flows[dialled++]!));
  const opening = Connection.open({ ...options, dial, dialect: "plain" });
  await turn();
  flows[0]!.bring(record("7\n782riWdFIwE="));
  const connection = await opening;
  await connection.write(pattern(0, 3));
  connection.cut();
  while (dialled < 2) await turn();
  await turn();
  flows[1]!.break();
  flows[1]!.bring(record("0\n200"));
  while (events.length < 3) await turn();
  connection.close();
  assert.deepEqual(events.slice(0, 3), ["lost: cut", "resumed: 1, 3", "lost: reset"]);
  assert.equal(flows[1]!.isClosed, true);
});
