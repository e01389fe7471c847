import assert from "node:assert/strict";
import { ReedSolomon } from "../../../../lib/link/kcp/fec/reed_solomon.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { Random } from "../../../helpers/random.ts";

/** Parity rows of the code of klauspost/reedsolomon with its default options. */
const ROWS: Record<string, string[]> = {
  "1,1": ["01"],
  "2,1": ["0302"],
  "2,2": ["0302", "0203"],
  "3,1": ["010101"],
  "3,2": ["010101", "0f0806"],
  "4,2": ["1b1c1214", "1c1b1412"],
  "10,3": ["8196afb8d2c4fee80302", "9681b8afc4d2e8fe0203", "bfd6620a066fdfb70504"],
};

const hexOf = (row: Uint8Array) => [...row].map((byte) => byte.toString(16).padStart(2, "0")).join("");

Deno.test("parity is made by the rows of klauspost/reedsolomon", () => {
  for (const [shards, rows] of Object.entries(ROWS)) {
    const [data, parity] = shards.split(",").map(Number) as [number, number];
    assert.deepEqual(new ReedSolomon(data, parity).rows.map(hexOf), rows, shards);
  }
});

/** All ways to choose up to `most` of the first `count` numbers. */
function* choices(count: number, most: number, from = 0): Generator<number[]> {
  yield [];
  if (most === 0) return;
  for (let first = from; first < count; first++) {
    for (const rest of choices(count, most - 1, first + 1)) yield [first, ...rest];
  }
}

/** Data of unequal lengths, and their parity, each of `length` bytes. */
function shardsOf(code: ReedSolomon, length: number, random: Random) {
  const data = Array.from({ length: code.data }, (_, i) => random.bytes(i === 0 ? length : random.int(1, length)));
  const parity = Array.from({ length: code.parity }, () => new Uint8Array(length));
  data.forEach((shard, i) => code.add(i, shard, parity));
  return { data, parity };
}

function assertRebuilt(code: ReedSolomon, { data, parity }: ReturnType<typeof shardsOf>, lost: number[]): void {
  const length = parity[0]!.length;
  const left = [...data, ...parity].map((shard, i) => lost.includes(i) ? undefined : shard);
  const rebuilt = code.rebuild(left);
  assert.deepEqual([...rebuilt!.keys()], lost.filter((i) => i < code.data), `${lost}`);
  for (const [i, shard] of rebuilt!) {
    const padded = new Uint8Array(length);
    padded.set(data[i]!);
    assertSameBytes(shard, padded, `lost: ${lost}`);
  }
}

for (const [data, parity] of [[1, 1], [1, 3], [2, 1], [2, 2], [3, 1], [3, 2], [4, 2], [5, 5], [10, 3]] as const) {
  Deno.test(`of ${data} data and ${parity} parity shards, whichever ${parity} are lost, the data come back`, () => {
    const code = new ReedSolomon(data, parity);
    const random = new Random(data * 16 + parity);
    const shards = shardsOf(code, 40, random);
    for (const lost of choices(data + parity, parity)) assertRebuilt(code, shards, lost);
  });
}

Deno.test("the largest groups come back too", () => {
  for (const [data, parity] of [[128, 128], [255, 1], [1, 255]] as const) {
    const code = new ReedSolomon(data, parity);
    const random = new Random();
    const shards = shardsOf(code, 20, random);
    const order = Array.from({ length: data + parity }, (_, i) => ({ i, key: random.next() }));
    const lost = order.toSorted((a, b) => a.key - b.key).slice(0, parity).map(({ i }) => i).toSorted((a, b) => a - b);
    assertRebuilt(code, shards, lost);
  }
});

Deno.test("with fewer shards than there were data nothing is rebuilt", () => {
  const code = new ReedSolomon(3, 2);
  const { data, parity } = shardsOf(code, 10, new Random(1));
  assert.equal(code.rebuild([data[0], undefined, undefined, parity[0], undefined]), undefined);
  assert.equal(code.rebuild([undefined, undefined, undefined, ...parity]), undefined);
});

Deno.test("numbers of which there is no code are refused", () => {
  for (const [data, parity] of [[0, 1], [1, 0], [200, 57], [NaN, 1]] as const) {
    assert.throws(() => new ReedSolomon(data, parity), RangeError);
  }
});
