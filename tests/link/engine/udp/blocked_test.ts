import assert from "node:assert/strict";
import { EpollPoller } from "../../../../lib/link/engine/epoll/epoll_poller.ts";
import type { Poller } from "../../../../lib/link/engine/poller.ts";
import { encodeAddress } from "../../../../lib/link/engine/sockaddr.ts";
import { SOL_SOCKET, System } from "../../../../lib/link/engine/system.ts";
import { BATCH } from "../../../../lib/link/engine/udp/batch.ts";
import { DatagramCalls } from "../../../../lib/link/engine/udp/datagram_calls.ts";
import { Incoming } from "../../../../lib/link/engine/udp/incoming.ts";
import { ConnectedSocket } from "../../../../lib/link/engine/udp/native_sockets.ts";
import { SendQueue } from "../../../../lib/link/engine/udp/send_queue.ts";
import { RingPoller } from "../../../../lib/link/engine/uring/ring_poller.ts";
import { datagram, textOf } from "../../../helpers/datagram_stage.ts";
import { NATIVE } from "../../../helpers/engine.ts";
import { ownDescriptors } from "../../../helpers/own_descriptors.ts";
import { datagramPair, RawSocket } from "../../../helpers/raw_socket.ts";
import { turn } from "../../../helpers/turns.ts";

const SO_SNDBUF = 7;

const POLLERS: Partial<Record<string, () => Poller>> = {
  uring: () => new RingPoller(System.open()),
  epoll: () => new EpollPoller(System.open()),
};

/** Sockets of the engine's whose other ends take few datagrams that are not read: UDP would lose them on the way within a machine. */
class Narrow implements AsyncDisposable {
  readonly #before = ownDescriptors();
  readonly #poller: Poller;
  readonly #shared: ConstructorParameters<typeof ConnectedSocket>[0];
  readonly #ends: RawSocket[] = [];
  readonly #sockets: ConnectedSocket[] = [];

  constructor(name: string) {
    this.#poller = POLLERS[name]!();
    const calls = DatagramCalls.open();
    const queue = new SendQueue(this.#poller, calls);
    this.#shared = { poller: this.#poller, calls, incoming: new Incoming(calls), queue };
  }

  open(): { socket: ConnectedSocket; far: RawSocket } {
    const [near, far] = datagramPair();
    System.open().setOption(near, SOL_SOCKET, SO_SNDBUF, 1); // as little as there is
    const address = encodeAddress({ kind: "tcp", hostname: "127.0.0.1", port: 1 }, System.open());
    const traits = { isShared: false, receiveBuffer: 0, sendBuffer: 0 };
    const opened = { socket: new ConnectedSocket(this.#shared, near, address, traits), far: new RawSocket(far) };
    this.#sockets.push(opened.socket);
    this.#ends.push(opened.far);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) await socket.close();
    for (const end of this.#ends) end[Symbol.dispose]();
    await this.#poller.stop();
    assert.deepEqual([...ownDescriptors().keys()].sort(), [...this.#before.keys()].sort(), "descriptors");
  }
}

/** The next datagram, which may be on its way. */
async function receive(far: RawSocket): Promise<string> {
  for (let turns = 0; turns < 20_000; turns++) {
    const bytes = far.tryReceive(4096);
    if (bytes) return textOf(bytes);
    await turn();
  }
  throw new Error("nothing came");
}

for (const name of NATIVE) {
  const test = (what: string, run: (narrow: Narrow) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using narrow = new Narrow(name);
      await run(narrow);
    });

  test("what the system has no room for waits until it has, what comes on top is refused", async (narrow) => {
    const { socket, far } = narrow.open();
    for (let round = 0; round < 3; round++) {
      const taken = [];
      for (let i = 0; i < 100; i++) {
        if (socket.send(datagram(`${round}:${i}`), socket.peer)) taken.push(`${round}:${i}`);
      }
      assert.equal(taken.length, BATCH);
      assert.equal(socket.losses.unsent, (round + 1) * (100 - BATCH));
      for (const text of taken) assert.equal(await receive(far), text);
      for (let turns = 0; turns < 20; turns++) await turn();
      assert.equal(far.tryReceive(100), undefined);
    }
  });

  test("what a socket has no room for holds no other up", async (narrow) => {
    const [full, free] = [narrow.open(), narrow.open()];
    const send = ({ socket }: typeof full, text: string) => socket.send(datagram(text), socket.peer);
    for (let i = 0; i < 50; i++) assert.equal(send(full, `${i}`), true);
    for (let i = 0; i < 5; i++) {
      send(free, `${i}`);
      send(full, `${50 + i}`);
      assert.equal(await receive(free.far), `${i}`);
    }
    for (let i = 0; i < 55; i++) assert.equal(await receive(full.far), `${i}`);
  });

  test("what there is no room for when it is closed is lost, and counted", async (narrow) => {
    const { socket, far } = narrow.open();
    for (let i = 0; i < 50; i++) socket.send(datagram(`${i}`), socket.peer);
    await socket.close();
    let came = 0;
    while (far.tryReceive(100)) came++;
    assert(came > 0, "nothing came");
    assert.equal(socket.losses.unsent, 50 - came);
  });
}
