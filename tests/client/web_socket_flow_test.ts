import assert from "node:assert/strict";
import { mock } from "node:test";
import { WebSocketFlow } from "../../lib/client/web_socket_flow.ts";
import { dialWebSocket } from "../../lib/client/web_socket_transport.ts";
import { NOBODY } from "../../lib/link/flow.ts";
import { FlowLink } from "../../lib/link/flow_link.ts";
import type { Link } from "../../lib/link/link.ts";
import { Backend, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes, concat } from "../helpers/bytes.ts";
import { type Pair, testLinkContract } from "../helpers/link_contract.ts";
import { pattern } from "../helpers/random.ts";
import { settled, turn } from "../helpers/turns.ts";
import { WsServer } from "../helpers/ws_server.ts";

const NEVER = new AbortController().signal;

/** What a test has of a server's end. */
interface WebSocketPair extends Pair {
  near: FlowLink;
  socket: WebSocket;
}

/** Near: a client. Far: the server's end. */
async function pair(): Promise<WebSocketPair> {
  const accepted = Promise.withResolvers<[far: Link, socket: WebSocket]>();
  const held = Promise.withResolvers<void>();
  const server = new WsServer((...far) => {
    accepted.resolve(far);
    return held.promise;
  });
  const [near, [far, socket]] = await Promise.all([dialWebSocket(server.url, NEVER), accepted.promise]);
  return {
    near,
    far,
    socket,
    async [Symbol.asyncDispose]() {
      near.close();
      held.resolve();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The pair with its ends changed. */
async function turnedPair(): Promise<Pair> {
  const both = await pair();
  return { near: both.far, far: both.near, [Symbol.asyncDispose]: () => both[Symbol.asyncDispose]() };
}

testLinkContract("a WebSocket,", 200_000, () => pair());
testLinkContract("the server's end of a WebSocket,", 200_000, () => turnedPair());

Deno.test("a WebSocket takes messages of any length, and sends none that is longer than 16 KiB", async () => {
  await using both = await pair();
  const { near, far, socket } = both;
  const lengths: number[] = [];
  socket.addEventListener("message", ({ data }) => lengths.push(data.byteLength));
  for (const length of [0, 1, 300_000, 0, 5]) socket.send(pattern(0, length));
  const got: Uint8Array[] = [];
  for (let left = 300_006; left > 0; left -= got.at(-1)!.length) {
    const buffer = new Uint8Array(70_000);
    got.push(buffer.subarray(0, (await near.read(buffer))!));
  }
  assertSameBytes(concat(got), concat([pattern(0, 1), pattern(0, 300_000), pattern(0, 5)]));
  assert.equal(await near.write(new Uint8Array(40_000)), 40_000);
  assert.equal(await near.write(new Uint8Array(100)), 100);
  const end = readToEnd(far);
  await near.closeWrite();
  assert.equal((await end).length, 40_100);
  assert.deepEqual(lengths, [16_384, 16_384, 7_232, 100]);
});

for (const code of [undefined, 1000]) {
  Deno.test(`a WebSocket that the server closes with code ${code} is at the end of its stream`, async () => {
    await using both = await pair();
    both.socket.send(pattern(0, 10));
    both.socket.close(code);
    assertSameBytes(await readToEnd(both.near), pattern(0, 10));
    await assert.rejects(both.near.write(new Uint8Array(1)));
  });
}

Deno.test("a WebSocket that the server closes with another code is broken", async () => {
  await using both = await pair();
  both.socket.close(4000);
  await assert.rejects(readToEnd(both.near), /closed with code 4000/);
});

Deno.test("a WebSocket is broken by a message of text", async () => {
  await using both = await pair();
  both.socket.send("text");
  await assert.rejects(both.near.read(new Uint8Array(1)), /is text, where bytes belong/);
  await assert.rejects(both.near.write(new Uint8Array(1)));
  assert.equal(await readToEnd(both.far).then((all) => all.length), 0);
});

Deno.test("a WebSocket ends at close() what is pending, although the server does not answer", async () => {
  const server = new Backend();
  const [near] = await Promise.all([dialWebSocket(`ws://${server.address}`, NEVER), answer(server)]);
  const pending = near.read(new Uint8Array(1));
  await near.closeWrite();
  near.close();
  assert.equal(await pending, null);
  await assert.rejects(near.write(new Uint8Array(1)), /the WebSocket is closed/);
  await server[Symbol.asyncDispose]();
});

Deno.test("a WebSocket whose connection is gone without a word is broken", async () => {
  const server = new Backend();
  const [near, far] = await Promise.all([dialWebSocket(`ws://${server.address}`, NEVER), answer(server)]);
  far.close();
  await assert.rejects(readToEnd(near));
  near.close();
  await server[Symbol.asyncDispose]();
});

Deno.test("dialWebSocket() takes a WebSocket, also where there is a WebSocketStream, which crashes a page's tab", async () => {
  assert(globalThis.WebSocketStream);
  await using both = await pair();
  assert(both.near.flow instanceof WebSocketFlow);
});

Deno.test("dialling a WebSocket rejects with why, or with the signal's reason at once", async () => {
  const silent = new Backend();
  const url = `ws://${silent.address}`;
  const reason = new Error("changed my mind");
  await assert.rejects(dialWebSocket(url, AbortSignal.abort(reason)), reason);
  const abort = new AbortController();
  const dialling = dialWebSocket(url, abort.signal);
  await silent.accept();
  abort.abort(reason);
  await assert.rejects(dialling, reason);
  await silent[Symbol.asyncDispose]();
  await assert.rejects(dialWebSocket(url, NEVER), /^Error: Cannot connect to ws:.*: ./);
});

/** Answers the opening of a WebSocket, and then nothing. */
async function answer(server: Backend): Promise<Link> {
  const far = await server.accept();
  const buffer = new Uint8Array(4096);
  let head = "";
  while (!head.endsWith("\r\n\r\n")) head += new TextDecoder().decode(buffer.subarray(0, (await far.read(buffer))!));
  const key = /^sec-websocket-key: (.*)\r$/im.exec(head)![1];
  const text = new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  const accept = new Uint8Array(await crypto.subtle.digest("SHA-1", text)).toBase64();
  const lines = [
    "HTTP/1.1 101 ",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    "",
    "",
  ];
  await far.write(new TextEncoder().encode(lines.join("\r\n")));
  return far;
}

Deno.test("a WebSocket that is paused tells nothing; what came before its loss is told first, in pieces that are wanted", async () => {
  const socket = new FakeSocket();
  const flow = flowOver(socket);
  const told: unknown[] = [];
  flow.sink = {
    readable: (bytes) => {
      told.push([...bytes]);
      if (told.length === 1) flow.pause();
    },
    writable: () => told.push("writable"),
    ended: () => told.push("ended"),
    lost: (error) => told.push((error as Error).message),
  };
  socket.message([1, 2, 3, 4, 5]);
  socket.ended(1006, false);
  await turn();
  assert.deepEqual(told, []);
  for (const expected of [[[1, 2]], [[1, 2], [3, 4], [5], "the WebSocket was closed with code 1006"]]) {
    flow.resume(2);
    await turn();
    assert.deepEqual(told, expected);
  }
  assert.throws(() => flow.write(new Uint8Array(0)), /closed with code 1006/);
});

Deno.test("a WebSocket tells who waits for room that it is closed, also when nobody reads", async () => {
  const socket = new FakeSocket();
  const flow = flowOver(socket);
  let writable = 0;
  flow.sink = { ...NOBODY, writable: () => writable++ };
  socket.bufferedAmount = 256 * 1024 + 1;
  assert.equal(flow.write(pattern(0, 10)), 0);
  socket.ended(1006, false);
  await turn();
  assert.equal(writable, 1);
  assert.throws(() => flow.write(pattern(0, 10)), /closed with code 1006/);
});

/** A WebSocket whose events come, and whose buffer empties, when the test says so. */
class FakeSocket extends EventTarget {
  binaryType = "";
  bufferedAmount = 0;
  readonly sent: Uint8Array[] = [];

  send(data: Uint8Array<ArrayBuffer>): void {
    this.sent.push(data);
  }

  close(): void {}

  message(bytes: number[]): void {
    this.dispatchEvent(new MessageEvent("message", { data: Uint8Array.from(bytes).buffer }));
  }

  ended(code: number, wasClean: boolean): void {
    this.dispatchEvent(new CloseEvent("close", { code, wasClean }));
  }
}

function flowOver(socket: FakeSocket): WebSocketFlow {
  return new WebSocketFlow(socket as unknown as ConstructorParameters<typeof WebSocketFlow>[0]);
}

Deno.test("a WebSocket makes a writer wait while it has much under way, and looks again and again, but ever less often", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const socket = new FakeSocket();
    const link = new FlowLink(flowOver(socket));
    let looks = 0;
    let amount = 256 * 1024;
    Object.defineProperty(socket, "bufferedAmount", { get: () => (looks++, amount) });
    const bytes = pattern(0, 10);
    await link.write(bytes);
    bytes.fill(0);
    assert.deepEqual(socket.sent, [pattern(0, 10)], "what is under way changed with the caller's buffer");
    amount++;
    looks = 0;
    const write = link.write(bytes);
    for (let ms = 0; ms < 1000; ms++) {
      mock.timers.tick(1);
      await Promise.resolve();
    }
    assert(looks > 20 && looks < 30, `${looks} looks in a second`);
    amount--;
    assert.equal(await settled(write), false);
    mock.timers.tick(50);
    assert.equal(await write, 10);
    amount++;
    const stuck = link.write(bytes);
    await turn();
    link.close();
    await assert.rejects(stuck, /the connection is closed/);
  } finally {
    mock.timers.reset();
  }
});
