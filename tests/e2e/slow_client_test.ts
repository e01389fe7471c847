/** Clients that take what they are sent much slower than it comes, and break off in the middle. */
import assert from "node:assert/strict";
import { connect } from "node:tls";
import { Connection } from "../../lib/client/connection.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import { Condition } from "../../lib/link/condition.ts";
import { LinkStream } from "../../lib/link/link_stream.ts";
import { StreamLink } from "../../lib/link/stream.ts";
import { Backend, readToEnd } from "../helpers/backend.ts";
import { BareWebSocket } from "../helpers/bare_web_socket.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { flakyTo } from "../helpers/flaky.ts";
import { Goscon, OLD_RUNTIME } from "../helpers/goscon.ts";
import { HAS_OPENSSL, makePair } from "../helpers/programs.ts";
import { assertNoneLost } from "../helpers/none_lost.ts";
import { pattern, Random } from "../helpers/random.ts";
import { answerOn, openOver, record, resumeOver, tcp } from "../helpers/raw_client.ts";
import { SmallLink } from "../helpers/small_link.ts";
import { stalled } from "../helpers/turns.ts";

const IS_LINUX = Deno.build.os === "linux";
const LINUX = { ignore: !IS_LINUX };
/** Deno's sockets do not tell what is on its way. */
const EPOLL = "io: epoll";
const TOTAL = 4 * 2 ** 20;
/** Until what is on its way has filled whatever holds it. */
const TURNS = 20_000;

/** Sends all of it, as fast as it is taken. */
function flood(far: Link) {
  const state = { sent: 0, done: Promise.resolve() };
  const send = async () => {
    const bytes = pattern(0, TOTAL);
    while (state.sent < TOTAL) state.sent += await far.write(bytes.subarray(state.sent, state.sent + 16 * 1024));
  };
  state.done = send();
  state.done.catch(() => {}); // the test tells
  return state;
}

/** Takes all of it, and breaks off three times when nothing more comes to be on its way. */
async function takeAll(backend: Backend, address: string, over: (link: Link) => Link | Promise<Link>) {
  let below = new SmallLink(address);
  using client = await openOver(await over(below));
  const far = await backend.accept();
  const sending = flood(far);
  let received = 0;
  const take = async (count: number) => {
    assertSameBytes(await client.receive(count), pattern(received, count));
    received += count;
  };
  for (let round = 0; round < 3; round++) {
    await stalled(() => sending.sent, TURNS);
    await take(100_000);
    await stalled(() => sending.sent, TURNS);
    below.reset();
    below = new SmallLink(address);
    (await resumeOver(client, await over(below))).close();
  }
  await take(TOTAL - received);
  await sending.done;
}

/** Bytes that have a whole record of TLS among them, wherever they begin. */
const RECORD = 17 * 1024;

/** TLS over a link, of which no more is taken than a read, or a write that needs the handshake, may have to wait for. */
function overTls(link: Link, ca: string): Link {
  const changed = new Condition();
  let allowed = 0;
  const allow = () => {
    allowed = RECORD;
    changed.notify();
  };
  const held: Link = {
    read: async (buffer) => {
      while (allowed <= 0) await changed.wait();
      const n = await link.read(buffer.subarray(0, allowed));
      allowed -= n ?? 0;
      return n;
    },
    write: (bytes) => link.write(bytes),
    closeWrite: () => link.closeWrite(),
    close: () => link.close(),
  };
  const secured = new StreamLink(connect({ socket: new LinkStream(held), ca, checkServerIdentity: () => undefined }));
  return {
    read: (buffer) => {
      allow();
      return secured.read(buffer);
    },
    write: (bytes) => {
      allow();
      return secured.write(bytes);
    },
    closeWrite: () => secured.closeWrite(),
    close: () => secured.close(),
  };
}

Deno.test("a client that reads slowly resumes whenever it breaks off, by default", LINUX, async () => {
  await using backend = new Backend();
  await using goscon = await Goscon.start(
    `${EPOLL}\nlisten: [{tcp: "127.0.0.1:0"}]\nhosts: [{addr: "${backend.address}"}]\n`,
  );
  await takeAll(backend, goscon.addresses[0]!, (link) => link);
});

Deno.test("a client that reads slowly cannot resume with in_flight unbounded", LINUX, async () => {
  await using backend = new Backend();
  await using goscon = await Goscon.start(
    `${EPOLL}\nlisten: [{tcp: "127.0.0.1:0"}]\nhosts: [{addr: "${backend.address}"}]\nscp: {in_flight: unbounded}\n`,
  );
  const link = new SmallLink(goscon.addresses[0]!);
  using client = await openOver(link);
  const sending = flood(await backend.accept());
  await stalled(() => sending.sent, TURNS);
  await client.receive(100_000);
  await stalled(() => sending.sent, TURNS);
  link.reset();
  const next = new SmallLink(goscon.addresses[0]!);
  await writeAll(next, record(client.resumeContent()));
  assert.equal(await answerOn(next), "0\n406");
  next.close();
});

Deno.test("a client of version 2 whose link has 1 MB/s, and is cut often, is never refused, by default", async () => {
  const random = new Random();
  await using backend = new Backend();
  await using goscon = await Goscon.start(
    `listen: [{tcp: "127.0.0.1:0"}]\nmanager: 127.0.0.1:0\nhosts: [{addr: "${backend.address}"}]\n`,
  );
  const slow = { rate: 1_000_000, cutAfterBytes: 300_000, rst: true, seed: random.int(0, 2 ** 32 - 1) };
  await using relay = flakyTo(goscon.addresses[0]!, slow);
  const closed = Promise.withResolvers<unknown>();
  let resumes = 0;
  const connection = await Connection.open({
    dial: () => tcp(relay.address),
    version: 2,
    random: () => 0,
    onResumed: () => resumes++,
    onClosed: closed.resolve,
  });
  const far = await backend.accept();
  const sending = flood(far).done.then(() => far.closeWrite());
  assertSameBytes(await readToEnd(connection), pattern(0, TOTAL), `GOSCON_SEED=${random.seed}`);
  await sending;
  assert.equal(await closed.promise, undefined);
  assert(resumes > 8, `only ${resumes} resumes`);
  await assertNoneLost(goscon);
});

Deno.test("a client over TLS, or a WebSocket, that reads slowly resumes, also when another thread carries it", {
  ignore: !IS_LINUX || !HAS_OPENSSL || OLD_RUNTIME, // whose node:http cannot be given its connections
}, async () => {
  await using backend = new Backend();
  const dir = await Deno.makeTempDir();
  const { cert, key } = await makePair(dir, "one");
  await using goscon = await Goscon.start(`${EPOLL}
listen: [{tcp: "127.0.0.1:0", tls: {cert: ${cert}, key: ${key}}}, {ws: "127.0.0.1:0"}]
hosts: [{addr: "${backend.address}"}]
scp: {reuse_buffer: 512KiB}
workers: 2
`);
  const ca = await Deno.readTextFile(cert);
  await takeAll(backend, goscon.addresses[0]!, (link) => overTls(link, ca));
  await takeAll(backend, goscon.addresses[1]!, (link) => BareWebSocket.open(link));
  await Deno.remove(dir, { recursive: true });
});
