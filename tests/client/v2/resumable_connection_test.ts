import assert from "node:assert/strict";
import { Connection } from "../../../lib/client/connection.ts";
import { connect } from "../../../lib/client/mod.ts";
import { dialWebSocket } from "../../../lib/client/web_socket_transport.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { AckedServer } from "../../helpers/acked_server.ts";
import { Backend, readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { pattern } from "../../helpers/random.ts";
import { stalled, turn, until } from "../../helpers/turns.ts";

Deno.test("over a WebSocket, what nobody reads is bounded by the window", {
  // A WebSocket that this end has closed is gone only after the other end, or the network, has had its say.
  sanitizeResources: false,
}, async () => {
  await using backend = new Backend();
  await using proxy = TestProxy.start({
    listen: [{ ws: "127.0.0.1:0", dialect: "plain" }],
    hosts: [{ addr: backend.address }],
    shutdown_timeout: "10ms",
  });
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<unknown>();
  const connection = await Connection.open({
    dial: (signal) => dialWebSocket(`ws://${proxy.address}/scp`, signal),
    dialect: "plain",
    version: 2,
    window: 8192,
    onClosed,
  });
  const far = await backend.accept();
  const writing = writeAll(far, pattern(0, 1_000_000));
  while (connection.bytes.received < 8192) await turn();
  await stalled(() => connection.bytes.received);
  assert.equal(connection.bytes.received, 8192);
  assertSameBytes(await readExactly(connection, 1_000_000), pattern(0, 1_000_000));
  await writing;
  connection.close();
  await closed;
});

Deno.test("a readable gives what came before the session was lost, and errors then; closed rejects at once", async () => {
  await using server = new AckedServer();
  const connection = await connect(`tcp://${server.address}`, { version: 2 });
  const end = await server.end();
  for (const at of [0, 100, 200]) {
    end.write(pattern(at, 100));
    for (let i = 0; i < 50; i++) await turn();
  }
  end.close(3);
  await assert.rejects(connection.closed, { code: 3 });
  const reader = connection.readable.getReader();
  let at = 0;
  while (at < 300) {
    const { value } = await reader.read();
    assertSameBytes(value!, pattern(at, value!.length));
    at += value!.length;
  }
  await assert.rejects(reader.read(), { name: "SessionEndedError", code: 3 });
  await assert.rejects(connection.writable.getWriter().write(new Uint8Array(1)), { code: 3 });
});

Deno.test("aborting the writable, and the signal, tell the server that the application gave up", async () => {
  for (const how of ["abort", "signal"]) {
    await using server = new AckedServer();
    const abort = new AbortController();
    const connection = await connect(`tcp://${server.address}`, { version: 2, signal: abort.signal });
    const end = await server.end();
    const reason = new Error("enough");
    if (how === "abort") await connection.writable.abort(reason);
    else abort.abort(reason);
    const outcome = await connection.closed.catch((error) => error);
    assert.equal(outcome, how === "abort" ? undefined : reason);
    await until(() => end.closedWith !== undefined, () => "the server was not told");
    assert.equal(end.closedWith, 7);
  }
});
