import assert from "node:assert/strict";
import fc from "fast-check";
import { GROUP_LIFE } from "../../../../lib/link/kcp/fec/decoder.ts";
import { encodeAll, fecPair } from "../../../helpers/fec.ts";
import { pattern, Random } from "../../../helpers/random.ts";

/** So many datagrams' segments, of unequal lengths, all different. */
const some = (count: number, from = 0) => Array.from({ length: count }, (_, i) => pattern((from + i) * 90, 30 + i % 7));
const hexOf = (all: { segments: Uint8Array }[]) => all.map(({ segments }) => segments.toHex());
const inHex = (all: Uint8Array[]) => all.map((bytes) => bytes.toHex());

Deno.test("data are given on at once and as regular, and what is rebuilt after them, as not regular", () => {
  const { encoder, input } = fecPair(3, 2);
  const all = some(3);
  const [first, , , ...parity] = encodeAll(encoder, all);
  assert.deepEqual(input(parity[0]!), { verdict: "parity", deliveries: [] });
  assert.deepEqual(input(parity[1]!).deliveries, []);
  assert.deepEqual(input(first!), {
    verdict: "data",
    deliveries: [
      { segments: all[0], isRegular: true },
      { segments: all[1], isRegular: false },
      { segments: all[2], isRegular: false },
    ],
  });
});

Deno.test("of each group as many datagrams may be lost as it has parity, whichever, in any order", () => {
  const random = new Random();
  for (let round = 0; round < 300; round++) {
    const [data, parity] = [random.int(1, 12), random.int(1, 5)];
    const { encoder, input } = fecPair(data, parity);
    for (let group = 0; group < 3; group++) {
      const all = some(data, group * data);
      const shuffled = encodeAll(encoder, all).map((datagram) => ({ datagram, key: random.next() }))
        .toSorted((a, b) => a.key - b.key).slice(parity);
      const got = shuffled.flatMap(({ datagram }) => input(datagram).deliveries);
      assert.deepEqual(hexOf(got).toSorted(), inHex(all).toSorted(), `seed ${random.seed}`);
    }
  }
});

Deno.test("a double is given on and does not count, and late data of a rebuilt group are given on as regular", () => {
  const { encoder, input, decoder } = fecPair(3, 1);
  const all = some(3);
  const [first, second, third, parity] = encodeAll(encoder, all) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  input(first);
  for (let i = 0; i < 3; i++) assert.deepEqual(hexOf(input(first).deliveries), [all[0]!.toHex()]);
  assert.deepEqual(input(parity).deliveries, []);
  assert.deepEqual(input(parity).deliveries, []);
  assert.equal(input(third).deliveries.length, 2);
  assert.deepEqual(input(second).deliveries, [{ segments: all[1], isRegular: true }]);
  assert.deepEqual(input(parity).deliveries, []);
  assert.equal(decoder.rebuilt, 1);
});

Deno.test("what a decoder gives on does not change when the datagrams' memory is used again", () => {
  const { encoder, input } = fecPair(2, 1);
  const all = some(2);
  const [first, , parity] = encodeAll(encoder, all) as [Uint8Array, Uint8Array, Uint8Array];
  input(first);
  first.fill(0xff);
  assert.deepEqual(input(parity).deliveries, [{ segments: all[1], isRegular: false }]);
});

Deno.test("a peer that leaves out parity, by gaps in its numbers, is decoded, and the groups that have some rebuilt", () => {
  const { encoder, input, decoder } = fecPair(3, 2);
  for (let group = 0; group < 40; group++) {
    const all = some(3, group * 3);
    const hasParity = group % 3 === 2;
    const sent = encodeAll(encoder, all, hasParity);
    const got = sent.slice(hasParity ? 2 : 0).flatMap((datagram) => input(datagram).deliveries);
    assert.deepEqual(hexOf(got).toSorted(), inHex(all).toSorted());
  }
  assert.deepEqual([decoder.rebuilt, decoder.held, decoder.isMismatched], [26, 0, false]);
});

Deno.test("numbers begin again at 0, and groups before and after are rebuilt", () => {
  const { encoder, input } = fecPair(5, 2, 0xfffffff5);
  const all = some(15);
  const got = encodeAll(encoder, all).filter((_, i) => i % 7 !== 1 && i % 7 !== 4)
    .flatMap((datagram) => input(datagram).deliveries);
  assert.deepEqual(hexOf(got).toSorted(), inHex(all).toSorted());
});

Deno.test("what came of a group more than 60 s ago is forgotten, by the next datagram or without one", () => {
  for (const [later, held] of [[GROUP_LIFE, 2], [GROUP_LIFE + 1, 0]] as const) {
    const { encoder, input, decoder } = fecPair(3, 1);
    const all = some(6);
    const [first, second, , parity, next] = encodeAll(encoder, all) as Uint8Array[];
    input(first!, 0);
    input(second!, 1000);
    const clone = fecPair(3, 1);
    for (const datagram of [first!, second!]) clone.input(datagram, 0);
    clone.decoder.expire(later);
    assert.equal(clone.decoder.held, held);
    input(next!, 1000);
    assert.equal(input(parity!, later).deliveries.length, held > 0 ? 1 : 0);
    assert.equal(decoder.held, held > 0 ? 1 : 2);
  }
});

Deno.test("it holds no more than the datagrams of three groups, and the newest group can be rebuilt still", () => {
  const { encoder, input, decoder } = fecPair(10, 3);
  let most = 0;
  for (let group = 0; group < 100; group++) {
    for (const datagram of encodeAll(encoder, some(10)).slice(4)) {
      input(datagram);
      most = Math.max(most, decoder.held);
    }
  }
  assert(most > 30 && most <= 39, `${most}`);
  const all = some(10);
  const got = encodeAll(encoder, all).slice(3).flatMap((datagram) => input(datagram).deliveries);
  assert.deepEqual(hexOf(got).toSorted(), inHex(all).toSorted());
});

Deno.test("of the last groups it is remembered that nothing is missing any more, of those long ago nothing is", () => {
  const { encoder, input, decoder } = fecPair(2, 1);
  const sent = encodeAll(encoder, some(200));
  sent.forEach((datagram) => input(datagram));
  assert.equal(decoder.held, 0);
  for (const [group, held] of [[99, 0], [90, 0], [10, 1]] as const) {
    input(sent[group * 3 + 2]!);
    assert.equal(decoder.held, held, `group ${group}`);
  }
});

Deno.test("datagrams without FEC are given on whole, between others", () => {
  const { encoder, input } = fecPair(2, 1);
  const plain = Uint8Array.fromHex("443322115100800000000000000000000000000005000000" + "68656c6c6f");
  const all = some(2);
  const [first, , parity] = encodeAll(encoder, all) as [Uint8Array, Uint8Array, Uint8Array];
  input(first);
  for (const datagram of [plain, plain.subarray(0, 5), new Uint8Array(0)]) {
    assert.deepEqual(input(datagram), { verdict: "plain", deliveries: [{ segments: datagram, isRegular: true }] });
  }
  assert.deepEqual(hexOf(input(parity).deliveries), [all[1]!.toHex()]);
});

Deno.test("data whose SIZE cannot be, empty ones, and what is longer than a datagram can be are malformed", () => {
  const { input, decoder } = fecPair(3, 1);
  const head = "00000000f100";
  for (const hex of [head, head + "03", head + "010041", head + "000041", head + "040041", head + "0200"]) {
    assert.deepEqual(input(Uint8Array.fromHex(hex)), { verdict: "malformed", deliveries: [] }, hex);
  }
  assert.equal(input(Uint8Array.fromHex("03000000f20041")).verdict, "malformed");
  const long = new Uint8Array(1501);
  long.set(Uint8Array.fromHex("03000000f2000300"));
  assert.equal(input(long).verdict, "malformed");
  assert.equal(decoder.held, 0);
});

Deno.test("an out-of-band datagram of newer peers is none of the stream", () => {
  const { input, decoder } = fecPair(3, 1);
  assert.deepEqual(input(Uint8Array.fromHex("00000000f30003000000")), { verdict: "out of band", deliveries: [] });
  assert.deepEqual([decoder.held, decoder.isMismatched], [0, false]);
});

Deno.test("what is rebuilt with a SIZE that cannot be is not given on", () => {
  const { encoder, input, decoder } = fecPair(2, 1);
  const [first, , parity] = encodeAll(encoder, some(2)) as [Uint8Array, Uint8Array, Uint8Array];
  parity[7]! ^= 0xff;
  input(first);
  assert.deepEqual(input(parity), { verdict: "parity", deliveries: [] });
  assert.deepEqual([decoder.failed, decoder.rebuilt, decoder.held], [1, 0, 0]);
});

Deno.test("of a peer whose groups have another size, data are given on, and nothing is rebuilt", () => {
  for (const [data, parity] of [[2, 1], [4, 1], [3, 2], [10, 3]] as const) {
    const { encoder } = fecPair(data, parity);
    const { input, decoder } = fecPair(3, 1);
    const all = some(60);
    const sent = encodeAll(encoder, all);
    const got = sent.flatMap((datagram, i) => i > 20 && i % 5 === 0 ? [] : input(datagram).deliveries);
    const kept = sent.filter((datagram, i) => (i <= 20 || i % 5 !== 0) && datagram[4] === 0xf1);
    assert.deepEqual(hexOf(got), inHex(kept.map((datagram) => datagram.subarray(8))), `${data}, ${parity}`);
    assert.deepEqual([decoder.isMismatched, decoder.held], [true, 0]);
  }
});

Deno.test("a number that no peer with such groups gets to is another size's", () => {
  const { input, decoder } = fecPair(5, 2);
  assert.equal(input(Uint8Array.fromHex("fcffffff" + "f1000300" + "41")).deliveries.length, 1);
  assert.equal(decoder.isMismatched, true);
});

Deno.test("junk is never thrown on, and holds no more than three groups", () => {
  const junk = fc.tuple(
    fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 0xffffffff })),
    fc.constantFrom(0xf1, 0xf1, 0xf2, 0xf3, 0x51),
    fc.uint8Array({ maxLength: 30 }),
    fc.boolean(),
  ).map(([number, type, rest, fits]) => {
    const datagram = new Uint8Array(8 + rest.length);
    const view = new DataView(datagram.buffer);
    view.setUint32(0, number, true);
    // Most have the type that their number asks for, so that they are kept.
    view.setUint16(4, fits && type !== 0x51 ? (number % 5 < 3 ? 0xf1 : 0xf2) : type, true);
    view.setUint16(6, fits ? 2 + rest.length : rest[0] ?? 0, true);
    datagram.set(rest, 8);
    return datagram;
  });
  fc.assert(fc.property(fc.array(fc.oneof(junk, fc.uint8Array({ maxLength: 20 })), { maxLength: 60 }), (all) => {
    const { input, decoder } = fecPair(3, 2);
    all.forEach((datagram, now) => {
      const { verdict, deliveries } = input(datagram, now * 3000);
      assert(decoder.held <= 15);
      assert(deliveries.length <= 1 + 2);
      if (verdict === "malformed" || verdict === "out of band") assert.equal(deliveries.length, 0);
    });
  }));
});
