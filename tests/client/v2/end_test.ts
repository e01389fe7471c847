import assert from "node:assert/strict";
import { openTo, passUntil } from "../../helpers/version2_client.ts";
import { AckedServer } from "../../helpers/acked_server.ts";
import { readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { stillTime } from "../../helpers/clock.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { settled, turn, until } from "../../helpers/turns.ts";

const ONE = () => new Uint8Array(1);

Deno.test("how the other end has closed the session is told, after what came before", async () => {
  const cases: [code: number, told: number, meaning: RegExp][] = [
    [0, 4, /says that all has ended, but not its own direction/],
    [1, 1, /shuts down/],
    [3, 3, /operator .*\(for the test\)/],
    [77, 77, /code 77/],
  ];
  for (const [said, code, message] of cases) {
    await using server = new AckedServer();
    const client = await openTo(server);
    const end = await server.end();
    end.write(pattern(0, 1000));
    end.close(said, "for the test");
    const error = await client.closed;
    assertSameBytes(await readExactly(client.connection, 600), pattern(0, 600));
    assertSameBytes(await readExactly(client.connection, 400), pattern(600, 400));
    for (const promise of [client.connection.read(ONE()), client.connection.write(ONE()), Promise.reject(error)]) {
      await assert.rejects(promise, { name: "SessionEndedError", code, message });
    }
  }
});

Deno.test("a 0 after the end of the other end's direction is the end in order", async () => {
  await using server = new AckedServer();
  const client = await openTo(server, { allowHalfOpen: true });
  const end = await server.end();
  end.write(pattern(0, 1000));
  end.stream.finish();
  assertSameBytes(await readToEnd(client.connection), pattern(0, 1000));
  end.close(0);
  assert.equal(await client.closed, undefined);
  assert.equal(await client.connection.read(ONE()), null);
  await assert.rejects(client.connection.write(ONE()), /the session has ended/);
});

Deno.test("a session that has ended while the client was away tells how: by an answer that proves it", async () => {
  using clock = stillTime();
  const cases: [code: number, isFinished: boolean, told: string][] = [
    [0, true, "in order"],
    [0, false, "4"],
    [2, false, "2"],
    [3, false, "3"],
  ];
  for (const [code, isFinished, told] of cases) {
    const forged = (answer: string) => answer.replace(/^2 \d/m, "2 9");
    await using server = new AckedServer({ steps: [forged, "serve"] });
    const client = await openTo(server, { allowHalfOpen: true });
    const end = await server.end();
    if (isFinished) {
      end.stream.finish();
      assert.equal(await client.connection.read(ONE()), null);
    }
    end.end = code;
    const outcome = client.connection.read(ONE()).catch((error) => `${error.code}`);
    client.connection.cut();
    assert.equal(await settled(outcome), isFinished);
    await passUntil(clock, () => client.events.length === 2);
    assert.deepEqual(client.events, ["lost: cut", `closed: ${told}`]);
    assert.deepEqual([await outcome, server.resumes.length], [isFinished ? null : told, 2]);
  }
});

Deno.test("closeWrite() ends one direction, after what was written, and reading goes on", async () => {
  await using server = new AckedServer();
  const client = await openTo(server);
  const end = await server.end();
  await client.connection.write(pattern(0, 1000));
  await client.connection.closeWrite();
  await client.connection.closeWrite();
  await assert.rejects(client.connection.write(ONE()), /this direction has ended/);
  await until(() => end.isEnded, () => "the server saw no end");
  assertSameBytes(end.received, pattern(0, 1000));
  end.write(pattern(0, 500));
  assertSameBytes(await readExactly(client.connection, 500), pattern(0, 500));
  end.stream.finish();
  assert.equal(await client.connection.read(ONE()), null);
  assert.equal(await client.closed, undefined);
  assert.equal(end.end, 0);
  await client.connection.closeWrite();
});

Deno.test("this end's direction ends with the other's, once all of that was read; not with allowHalfOpen", async () => {
  for (const allowHalfOpen of [false, true]) {
    await using server = new AckedServer();
    await using client = await openTo(server, { allowHalfOpen });
    const end = await server.end();
    end.write(pattern(0, 100));
    end.stream.finish();
    await until(() => client.connection.bytes.received === 100, () => "it does not come");
    await client.connection.write(pattern(0, 10));
    assertSameBytes(await readToEnd(client.connection), pattern(0, 100));
    if (allowHalfOpen) await client.connection.write(pattern(10, 10));
    else await assert.rejects(client.connection.write(ONE()), /this direction has ended|the session has ended/);
    if (allowHalfOpen) await client.connection.closeWrite();
    assert.equal(await client.closed, undefined);
    assertSameBytes(end.received, pattern(0, allowHalfOpen ? 20 : 10));
  }
});

Deno.test("a session both ends of which were seen ends in order at whatever loss", async () => {
  await using server = new AckedServer({ echo: true });
  const client = await openTo(server, { dial: dialOnce(server.address) });
  const end = await server.end();
  end.end = 0; // it says no CLOSE
  await client.connection.closeWrite();
  assert.equal(await client.connection.read(ONE()), null);
  await until(() => end.stream.session.isSentDone, () => "the client does not acknowledge the end");
  assert.deepEqual(client.events, []);
  end.stream.detach("lost");
  assert.equal(await client.closed, undefined);
});

/** Dials one connection, and no other. */
function dialOnce(address: string) {
  let dialled = 0;
  return () => dialled++ === 0 ? tcp(address) : Promise.reject(new Error("no network"));
}

Deno.test("close() says done when all was consumed, and else that the application gave up; reset() always does", async () => {
  const cases: [taking: boolean, how: "close" | "reset" | "error", code: number][] = [
    [true, "close", 0],
    [false, "close", 7],
    [true, "reset", 7],
    [true, "error", 7],
  ];
  for (const [taking, how, code] of cases) {
    await using server = new AckedServer();
    const client = await openTo(server);
    const end = await server.end();
    end.isTaking = taking;
    await client.connection.write(pattern(0, 100));
    if (taking) await until(() => end.received.length === 100, () => "it does not arrive");
    // What it has taken it has acknowledged before that.
    end.write(pattern(0, 100));
    await until(() => client.connection.bytes.received === 100, () => "it does not come");
    const error = new Error("enough");
    if (how === "reset") client.connection.reset();
    else client.connection.close(how === "error" ? error : undefined);
    const reading = client.connection.read(ONE());
    if (how === "error") await assert.rejects(reading, error);
    else assert.equal(await reading, null, "what was not read is given after close()");
    assert.equal(await client.closed, how === "error" ? error : undefined);
    await until(() => end.closedWith !== undefined, () => "the server was not told");
    assert.equal(end.closedWith, code);
    client.connection.close();
    assert.equal(client.events.length, 1);
  }
});

Deno.test("close() rejects a write that waits, and says that the application gave up", async () => {
  await using server = new AckedServer({ window: 4096 });
  const client = await openTo(server);
  const end = await server.end();
  end.isTaking = false;
  const writing = client.connection.write(pattern(0, 5000));
  await until(() => end.stream.session.received === 4096, () => "it does not come");
  client.connection.close();
  await assert.rejects(writing, /the session has ended/);
  await until(() => end.closedWith === 7, () => "the server was not told");
  await client.closed;
});

Deno.test("close() without a link resumes once more to say so, and gives up after 5 s", async () => {
  using clock = stillTime();
  await using server = new AckedServer();
  const client = await openTo(server);
  const end = await server.end();
  client.connection.cut();
  client.connection.close();
  assert.equal(await client.connection.read(ONE()), null);
  await client.closed;
  await until(() => end.closedWith === 0, () => "the server was not told");
  await using other = new AckedServer({ steps: ["silence"] });
  const lonely = await openTo(other);
  lonely.connection.cut();
  lonely.connection.close();
  await until(() => other.resumes.length === 1, () => "it did not try");
  clock.pass(4999);
  for (let i = 0; i < 20; i++) await turn();
  assert.deepEqual(lonely.events, ["lost: cut"]);
  clock.pass(1);
  await lonely.closed;
  assert.equal(other.resumes.length, 1);
});

Deno.test("close() while an attempt waits for its answer overtakes it", async () => {
  await using server = new AckedServer({ steps: ["silence"] });
  const client = await openTo(server);
  const end = await server.end();
  client.connection.retryNow();
  await until(() => server.resumes.length === 1, () => "it did not try");
  client.connection.close();
  await client.closed;
  await until(() => end.closedWith === 0, () => "the server was not told");
  assert.deepEqual(server.resumes.map((content) => content.split("\n")[1]), ["1", "2"]);
  assert.deepEqual(client.events, ["closed: in order"]);
});

Deno.test("a server that breaks the protocol is told so", async () => {
  await using server = new AckedServer();
  const client = await openTo(server, { window: 4096 });
  const end = await server.end();
  // More than the client's window holds.
  Object.defineProperty(end.stream.session, "room", { get: () => 5000 });
  end.write(pattern(0, 5000));
  const error = await client.closed;
  assert.match(String(error), /SessionEndedError: .*violation of the protocol .*window/);
  await until(() => end.closedWith === 4, () => "the server was not told");
});

Deno.test("close() after both ends waits for the server's word, for 5 s, and then has its own", async () => {
  for (const isTaking of [true, false]) {
    using clock = stillTime();
    await using server = new AckedServer();
    const client = await openTo(server);
    const end = await server.end();
    end.end = 0; // it says no CLOSE
    end.isTaking = isTaking;
    end.stream.finish();
    await client.connection.write(pattern(0, 10));
    assert.equal(await client.connection.read(ONE()), null);
    await until(() => end.stream.session.isSentDone, () => "the client does not acknowledge the end");
    if (isTaking) await until(() => end.isEnded, () => "the client does not end its direction");
    client.connection.close();
    client.connection.close();
    clock.pass(4999);
    for (let i = 0; i < 1000; i++) await turn(); // an ACK may be on its way
    assert.deepEqual([client.events, end.closedWith], [[], undefined]);
    clock.pass(1);
    await client.closed;
    await until(() => end.closedWith !== undefined, () => "the server was not told");
    assert.equal(end.closedWith, isTaking ? 0 : 7);
  }
});
