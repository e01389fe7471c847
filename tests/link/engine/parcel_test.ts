import assert from "node:assert/strict";
import { BrokenParcel, Parcel } from "../../../lib/link/engine/passing/parcel.ts";
import { pack, type PlainData, unpack } from "../../../lib/link/engine/passing/plain_data.ts";
import { EpollPoller } from "../../../lib/link/engine/epoll/epoll_poller.ts";
import { DescriptorCalls } from "../../../lib/link/engine/passing/descriptor_calls.ts";
import { DescriptorSocket } from "../../../lib/link/engine/passing/descriptor_socket.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { concat } from "../../helpers/bytes.ts";
// Opens the C library, which stays open.
import "../../helpers/engine.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { pattern } from "../../helpers/random.ts";
import { limitDescriptors } from "../../helpers/raw_socket.ts";
import { settled } from "../../helpers/turns.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
if (Deno.build.os === "linux") DescriptorCalls.open();

interface Pair {
  a: Parcel;
  b: Parcel;
  /** A socket whose other end is `b`'s: what it sends need not be a message. */
  raw: DescriptorSocket;
  system: System;
}

/** Parcels within this process, which must leave no descriptor behind. */
async function withPair(run: (pair: Pair) => Promise<void>): Promise<void> {
  const before = ownDescriptors();
  const system = System.open();
  const poller = new EpollPoller(system);
  const [raw, other] = system.socketPair().map((fd) => new DescriptorSocket(poller, fd)) as [
    DescriptorSocket,
    DescriptorSocket,
  ];
  const [a, b] = [new Parcel(raw), new Parcel(other)];
  try {
    await run({ a, b, raw, system });
  } finally {
    a.close();
    b.close();
    await poller.stop();
  }
  assert.deepEqual(ownDescriptors(), before);
}

const DATA: PlainData = {
  text: "ä\u0000€😀",
  nothing: null,
  flags: [true, false],
  numbers: [0, -1.5, 2 ** 53 - 1, Infinity, -Infinity],
  key: 0xffff_ffff_ffff_ffffn,
  7: "a key that is a number",
  __proto_: { nested: [{ bytes: new Uint8Array(0) }, new Uint8Array([1, 2, 3]), [new Uint8Array([4])]] },
};

Deno.test("plain data comes out as it went in", () => {
  const { text, bytes } = pack(DATA);
  assert.deepEqual(unpack(text, concat(bytes)), DATA);
  const missing = pack({ here: 1, absent: undefined });
  assert.deepEqual(unpack(missing.text, new Uint8Array(0)), { here: 1 });
});

Deno.test("what is no plain data is refused, and so are bytes that are not there", () => {
  for (const value of [new Map(), new Date(), () => {}, Symbol(), new Uint16Array(1), { $bytes: 1 }, undefined]) {
    assert.throws(() => pack({ list: [value] } as unknown as PlainData), TypeError);
  }
  const { text } = pack({ bytes: new Uint8Array(3) });
  assert.throws(() => unpack(text, new Uint8Array(2)), RangeError);
});

Deno.test(
  "messages come one by one with their own descriptors, and what is not taken of these is closed",
  LINUX,
  () =>
    withPair(async ({ a, b, system }) => {
      const bell = system.createBell();
      const big = pattern(0, 3 << 20);
      const sent = (async () => {
        await a.send("first");
        await a.send({ big, small: pattern(5, 10) }, [bell, bell, bell]);
        await Promise.all([a.send(DATA, [bell]), a.send([1])]);
        await a.end();
      })();
      {
        using first = (await b.receive())!;
        assert.deepEqual([first.data, first.descriptors.numbers], ["first", []]);
        using second = (await b.receive())!;
        assert.deepEqual(second.data, { big, small: pattern(5, 10) });
        const [taken] = second.descriptors.take(1);
        assert.equal(Deno.readLinkSync(`/proc/self/fd/${taken}`), Deno.readLinkSync(`/proc/self/fd/${bell}`));
        assert.equal(second.descriptors.numbers.length, 2);
        assert.throws(() => second.descriptors.take(3), /3 descriptors are wanted, and there are 2/);
        system.close(taken!);
        using third = (await b.receive())!;
        assert.deepEqual([third.data, third.descriptors.numbers.length], [DATA, 1]);
        using last = (await b.receive())!;
        assert.deepEqual([last.data, last.descriptors.numbers], [[1], []]);
      }
      assert.equal(await b.receive(), undefined);
      assert.equal(await b.receive(), undefined);
      await sent;
      system.close(bell);
    }),
);

Deno.test(
  "descriptors for which there are no numbers are missing from their message, and from no other",
  LINUX,
  () =>
    withPair(async ({ a, b, system }) => {
      const bell = system.createBell();
      await a.send("before");
      await a.send("cut", Array(200).fill(bell));
      await a.send({ big: pattern(0, 100_000) }, [bell]);
      await a.send("after", [bell, bell]);
      // The next numbers that are free are above that one.
      const limit = limitDescriptors(bell + 30);
      using before = (await b.receive())!;
      using cut = (await b.receive().finally(() => limitDescriptors(limit)))!;
      using big = (await b.receive())!;
      using after = (await b.receive())!;
      assert.deepEqual([before.data, cut.data, after.data], ["before", "cut", "after"]);
      const all = [before, cut, big, after];
      assert.deepEqual(all.map(({ isCut }) => isCut), [false, true, false, false]);
      assert.deepEqual(all.map(({ descriptors }) => descriptors.numbers.length), [0, 0, 1, 2]);
      system.close(bell);
    }),
);

Deno.test("who sends waits until the other has read", LINUX, () =>
  withPair(async ({ a, b }) => {
    const sending = a.send(pattern(0, 8 << 20));
    assert.equal(await settled(sending), false);
    using message = (await b.receive())!;
    assert.equal((message.data as Uint8Array).length, 8 << 20);
    await sending;
  }));

Deno.test("an end without a word is a break, at a message's end and in the middle of one", LINUX, async () => {
  await withPair(async ({ a, b, system }) => {
    const bell = system.createBell();
    await a.send("one", [bell]);
    await a.send("two", [bell]);
    a.close();
    (await b.receive())![Symbol.dispose]();
    b.close(); // what it has not received is closed as well
    system.close(bell);
    await assert.rejects(b.receive(), BrokenParcel);
  });
  await withPair(async ({ a, b }) => {
    a.close();
    await assert.rejects(b.receive(), (error) => error instanceof BrokenParcel && /is gone/.test(error.message));
    await assert.rejects(b.send("anything"), BrokenParcel);
  });
  await withPair(async ({ b, raw, system }) => {
    const bell = system.createBell();
    await raw.write(Uint8Array.of(0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0x7b), [bell]);
    raw.close();
    system.close(bell);
    await assert.rejects(b.receive(), BrokenParcel);
  });
});

Deno.test("what is no message ends the channel, and nothing of it is kept", LINUX, async () => {
  const header = (...words: number[]) =>
    words.flatMap((word) => [word >>> 24, word >> 16 & 255, word >> 8 & 255, word & 255]);
  const text = [...new TextEncoder().encode("{}")];
  for (
    const bytes of [
      header(0x7fffffff, 0, 0),
      header(2, 0x7fffffff, 0),
      header(2, 0, 254),
      [...header(2, 0, 2), ...text], // one descriptor comes
      [...header(2, 0, 1), 0x7b, 0x7b],
      [...header(2, 0, 1), 0xff, 0xff],
    ]
  ) {
    await withPair(async ({ b, raw, system }) => {
      const bell = system.createBell();
      await raw.write(Uint8Array.from(bytes), [bell]);
      system.close(bell);
      await assert.rejects(b.receive(), BrokenParcel);
      await assert.rejects(raw.read().then(({ bytes }) => assert.equal(bytes.length, 1)));
    });
  }
});

Deno.test("what waits for a message rejects when its own end closes", LINUX, () =>
  withPair(async ({ b }) => {
    const receiving = assert.rejects(b.receive(), BrokenParcel);
    b.close();
    await receiving;
  }));
