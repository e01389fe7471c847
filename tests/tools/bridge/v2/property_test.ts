import assert from "node:assert/strict";
import type { TcpLink } from "../../../../lib/link/tcp.ts";
import { writeAll } from "../../../../lib/link/link.ts";
import { Backend } from "../../../helpers/backend.ts";
import { proxyOf, TestBridge } from "../../../helpers/bridge.ts";
import { assertSameBytes, concat } from "../../../helpers/bytes.ts";
import { dialer } from "../../../helpers/cutting_link.ts";
import { pattern, Random } from "../../../helpers/random.ts";
import { turn } from "../../../helpers/turns.ts";

const SESSIONS = 25;
const MOST = 100_000;

/** What an end does: it sends so many bytes, perhaps only when the other's direction has ended; then it ends its own, or breaks off. */
interface Part {
  length: number;
  waits: boolean;
  breaks: boolean;
}

/** What an end saw of the other's direction: its bytes, and how it ended. */
interface Seen {
  bytes: Uint8Array;
  end: "end" | "reset";
}

/** One part never waits for the other, and one never breaks off. */
function partsOf(random: Random): [near: Part, far: Part] {
  const [waiting, breaking] = [random.int(0, 3), random.int(0, 5)];
  const part = (side: number): Part => ({
    length: random.int(0, 3) === 0 ? 0 : random.int(1, MOST),
    waits: waiting === side,
    breaks: breaking === side,
  });
  return [part(0), part(1)];
}

async function play(link: TcpLink, { length, waits, breaks }: Part, stream: number, random: Random): Promise<Seen> {
  const seeing = see(link, random.fork());
  if (waits) await seeing;
  const pauses = random.fork();
  let isReset = false;
  try {
    for (let at = 0; at < length;) {
      const size = Math.min(pauses.int(1, 20_000), length - at);
      await writeAll(link, pattern(at, size, stream));
      at += size;
      for (let turns = pauses.int(0, 3); turns > 0; turns--) await turn();
    }
    if (breaks) link.reset();
    else await link.closeWrite();
  } catch {
    // The system tells of a reset once, to who writes or to who reads: the other is told of an end then.
    isReset = true;
  }
  const seen = await seeing;
  return isReset ? { ...seen, end: "reset" } : seen;
}

async function see(link: TcpLink, random: Random): Promise<Seen> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(16 * 1024);
  try {
    for (;;) {
      const n = await link.read(buffer);
      if (n === null) return { bytes: concat(chunks), end: "end" };
      chunks.push(buffer.slice(0, n));
      if (random.next() < 0.2) await turn();
    }
  } catch {
    return { bytes: concat(chunks), end: "reset" };
  }
}

Deno.test("whatever ends or breaks first, over links that are cut: bytes are exact, an end is an end and a break is one", async () => {
  const random = new Random();
  const note = `GOSCON_SEED=${random.seed} shows this again`;
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  const buried: (() => void)[] = [];
  let parts = partsOf(random);
  const session = () => {
    // Of a break that is cut before it is told, the backend learns when `reuse_time` is over.
    const cutWithin = parts[0].breaks ? 2 ** 40 : 50_000;
    const how = { address: proxy.address, cutWithin, abandon: 0.3, random: random.fork() };
    const { dial, bury } = dialer(how);
    buried.push(bury);
    return { dial, random: () => 0 };
  };
  await using bridge = new TestBridge(proxy.address, { version: 2, session });
  for (let i = 1; i <= SESSIONS; i++) {
    parts = partsOf(random);
    const what = `${note}: session ${i}, ${JSON.stringify(parts)}`;
    using near = await bridge.open();
    const far = await backend.accept();
    const [down, up] = await Promise.all([
      play(near, parts[0], 1, random.fork()),
      play(far, parts[1], 2, random.fork()),
    ]);
    assertSaw(up, parts[0], 1, what);
    assertSaw(down, parts[1], 2, what);
    const { code } = await bridge.log.nth("bridge session ended", i);
    assert.equal(code, parts[0].breaks ? 7 : parts[1].breaks ? 2 : 0, what);
    far.close();
  }
  for (const bury of buried) bury();
  const resumes = bridge.log.of("bridge session resumed").length;
  assert(resumes > SESSIONS / 2, `only ${resumes} resumes: ${note}`);
});

/** Of a direction that ended in order, all was seen, but by who broke off itself; of one that did not, what came first, and no end. */
function assertSaw({ bytes, end }: Seen, { length, breaks }: Part, stream: number, note: string): void {
  assert(bytes.length <= length, note);
  assertSameBytes(bytes, pattern(0, bytes.length, stream), note);
  if (breaks) assert.equal(end, "reset", note);
  else if (end === "end") assert.equal(bytes.length, length, note);
}
