import assert from "node:assert/strict";
import { join } from "node:path";
import { EpollPoller } from "../../../lib/link/engine/epoll/epoll_poller.ts";
import { DescriptorCalls, MOST_DESCRIPTORS } from "../../../lib/link/engine/passing/descriptor_calls.ts";
import { DescriptorListening, DescriptorSocket } from "../../../lib/link/engine/passing/descriptor_socket.ts";
import { encodeAddress } from "../../../lib/link/engine/sockaddr.ts";
import { AF_INET, System } from "../../../lib/link/engine/system.ts";
import { readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
// Opens the C library, which stays open.
import { engineOf } from "../../helpers/engine.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { pattern } from "../../helpers/random.ts";
import { limitDescriptors } from "../../helpers/raw_socket.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const CHILD = join(import.meta.dirname!, "..", "..", "helpers", "passing_child.ts");
if (Deno.build.os === "linux") DescriptorCalls.open();

/** Two ends within this process, and what they must leave behind: nothing. */
async function withPair(run: (a: DescriptorSocket, b: DescriptorSocket, system: System) => Promise<void>) {
  const before = ownDescriptors();
  const system = System.open();
  const poller = new EpollPoller(system);
  const [a, b] = system.socketPair().map((fd) => new DescriptorSocket(poller, fd));
  try {
    await run(a!, b!, system);
  } finally {
    a!.close();
    b!.close();
    await poller.stop();
  }
  assert.deepEqual(ownDescriptors(), before);
}

const nameOf = (fd: number) => Deno.readLinkSync(`/proc/self/fd/${fd}`);

Deno.test(
  "a descriptor that is passed is another one of the same, which no child inherits",
  LINUX,
  () =>
    withPair(async (a, b, system) => {
      const bell = system.createBell();
      const socket = system.socket(AF_INET);
      await a.write(Uint8Array.of(1, 2, 3), [bell, socket, socket]);
      const { bytes, descriptors } = await b.read();
      assertSameBytes(bytes, Uint8Array.of(1, 2, 3));
      assert.deepEqual(descriptors.map(nameOf), [bell, socket, socket].map(nameOf));
      assert.equal(new Set([bell, socket, ...descriptors]).size, 5);
      for (const fd of descriptors) assert.match(Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`), /^flags:\s+0?2/m);
      for (const fd of [bell, socket, ...descriptors]) system.close(fd);
    }),
);

Deno.test(
  "as many descriptors as the system takes go at once, and no more",
  LINUX,
  () =>
    withPair(async (a, b, system) => {
      const bell = system.createBell();
      await a.write(Uint8Array.of(1), Array(MOST_DESCRIPTORS).fill(bell));
      const { descriptors } = await b.read();
      assert.equal(descriptors.length, 253);
      for (const fd of descriptors) system.close(fd);
      await assert.rejects(a.write(Uint8Array.of(1), Array(MOST_DESCRIPTORS + 1).fill(bell)), RangeError);
      await assert.rejects(a.write(Uint8Array.of(1), [-1]), /Bad file descriptor/);
      system.close(bell);
    }),
);

Deno.test(
  "what is written waits for who reads, whole and in order, and the descriptors come with its beginning",
  LINUX,
  () =>
    withPair(async (a, b, system) => {
      const bell = system.createBell();
      const sent = pattern(0, 4 << 20);
      let isWritten = false;
      const written = a.write(sent, [bell]).then(() => isWritten = true);
      const first = await b.read();
      assert.equal(isWritten, false);
      assert(first.bytes.length > 0 && first.bytes.length < sent.length);
      assert.deepEqual(first.descriptors.map(nameOf), [nameOf(bell)]);
      const chunks = [first.bytes];
      for (let count = first.bytes.length; count < sent.length; count += chunks.at(-1)!.length) {
        const { bytes, descriptors } = await b.read();
        assert.deepEqual(descriptors, []);
        chunks.push(bytes);
      }
      await written;
      assertSameBytes(concat(chunks), sent);
      for (const fd of [bell, ...first.descriptors]) system.close(fd);
    }),
);

Deno.test(
  "an end is read as such after all that came before, and who writes to it is told",
  LINUX,
  () =>
    withPair(async (a, b) => {
      await a.write(Uint8Array.of(7));
      a.close();
      assertSameBytes((await b.read()).bytes, Uint8Array.of(7));
      assert.equal((await b.read()).bytes.length, 0);
      await assert.rejects(b.write(Uint8Array.of(1)), { code: "EPIPE" });
      await assert.rejects(a.write(Uint8Array.of(1)), /closed/);
    }),
);

Deno.test(
  "what waits rejects when its own end closes, and when the other closes and leaves bytes unread",
  LINUX,
  async () => {
    await withPair(async (a) => {
      const reading = assert.rejects(a.read(), /closed/);
      a.close();
      await reading;
    });
    await withPair(async (a, b) => {
      await a.write(new Uint8Array(1));
      const reading = assert.rejects(a.read(), { code: "ECONNRESET" });
      b.close();
      await reading;
    });
  },
);

Deno.test(
  "when there are no numbers for all descriptors none is kept, and what follows comes",
  LINUX,
  () =>
    withPair(async (a, b, system) => {
      const bell = system.createBell();
      const before = ownDescriptors().size;
      await a.write(Uint8Array.of(1), Array(MOST_DESCRIPTORS).fill(bell));
      await a.write(Uint8Array.of(2), [bell]);
      const highest = Math.max(...ownDescriptors().keys());
      const limit = limitDescriptors(highest + 4);
      const cut = await b.read().finally(() => limitDescriptors(limit));
      assert.deepEqual(cut, { bytes: Uint8Array.of(1), descriptors: [], isCut: true });
      assert.equal(ownDescriptors().size, before);
      const { bytes, descriptors: [fd], isCut } = await b.read();
      assert.deepEqual([bytes, isCut], [Uint8Array.of(2), false]);
      for (const each of [fd!, bell]) system.close(each);
    }),
);

/** Has a child of a scene connect. */
async function withChild(scene: string, run: (socket: DescriptorSocket) => Promise<void>): Promise<void> {
  const dir = Deno.makeTempDirSync();
  const path = join(dir, "socket");
  const poller = new EpollPoller(System.open());
  const listening = DescriptorListening.open(poller, path);
  const args = ["run", "-A", "--quiet", CHILD, scene, path];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "null" }).spawn();
  const socket = await listening.accept();
  await run(socket);
  assert.equal((await child.status).code, 0);
  socket.close();
  listening.close();
  await poller.stop();
  Deno.removeSync(dir, { recursive: true });
}

Deno.test("another process serves the clients of a listener that was passed to it", LINUX, async () => {
  const system = System.open();
  const listener = system.socket(AF_INET);
  system.bind(listener, encodeAddress({ kind: "tcp", hostname: "127.0.0.1", port: 0 }, system));
  system.listen(listener, 1);
  const address = new Uint8Array(128);
  system.localAddress(listener, address);
  const port = address[2]! << 8 | address[3]!;
  const engine = engineOf("epoll");
  // It has been waiting since before.
  const client = await engine.connect({ kind: "tcp", hostname: "127.0.0.1", port }, {});
  await withChild("serve", async (socket) => {
    assert.equal(socket.peerUser, Deno.uid());
    await socket.write(pattern(0, 1000), [listener]);
    await socket.read();
    system.close(listener); // nobody here has it any more
    assertSameBytes(await readToEnd(client), pattern(0, 1000));
  });
  client.close();
  await engine.close();
});

Deno.test("that another process is gone is an end", LINUX, () =>
  withChild("leave", async (socket) => {
    assert.equal((await socket.read()).bytes.length, 1);
    assert.equal((await socket.read()).bytes.length, 0);
  }));
