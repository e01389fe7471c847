import assert from "node:assert/strict";
import { dial } from "../../lib/link/dial.ts";
import { FullSocket } from "../helpers/full_socket.ts";
import { settled, turn } from "../helpers/turns.ts";

// Elsewhere a full queue refuses as a socket does that nobody listens on.
const LINUX = { ignore: Deno.build.os !== "linux" };

Deno.test("dial() waits while the queue of a Unix socket is full, and connects when there is room", LINUX, async () => {
  await using socket = await FullSocket.open();
  const address = { kind: "unix", path: socket.path } as const;
  const dialling = [1, 2, 3].map(() => dial(address, { timeout: 3_600_000 }));
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(await settled(Promise.race(dialling)), false);
  socket.serve();
  for (const link of await Promise.all(dialling)) {
    const buffer = new Uint8Array(1);
    await link.write(new Uint8Array([7]));
    assert.deepEqual([await link.read(buffer), buffer[0]], [1, 7]);
    link.close();
  }
});

Deno.test("dial() of a Unix socket whose queue stays full ends with the time, and with the signal", LINUX, async () => {
  await using socket = await FullSocket.open();
  const address = { kind: "unix", path: socket.path } as const;
  await assert.rejects(dial(address, { timeout: 20 }), /no answer within 20 ms/);
  const abort = new AbortController();
  const dialling = dial(address, { timeout: 3_600_000, signal: abort.signal });
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(await settled(dialling), false);
  abort.abort();
  await assert.rejects(dialling, /given up/);
});

Deno.test("dial() of a Unix socket that nobody listens on rejects at once", LINUX, async () => {
  const address = { kind: "unix", path: "/nowhere/socket" } as const;
  await assert.rejects(dial(address, { timeout: 3_600_000 }), Deno.errors.NotFound);
});
