import assert from "node:assert/strict";
import { openTo } from "../../helpers/version2_client.ts";
import { AckedServer } from "../../helpers/acked_server.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { dialer } from "../../helpers/cutting_link.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { turn } from "../../helpers/turns.ts";

const TOTAL = 400_000;
const SIZES = [1, 100, 5000, 50_000];

for (const dialect of ["goscon", "plain"] as const) {
  Deno.test(`whatever cuts its links, nothing is lost, doubled or moved, and the end is one: dialect ${dialect}`, async () => {
    const random = new Random();
    const note = `GOSCON_SEED=${random.seed}`;
    const size = () => random.int(1, SIZES[random.int(0, SIZES.length - 1)]!);
    const windows = [4096, 20_000, 65_536, 2 ** 20];
    const window = () => windows[random.int(0, windows.length - 1)]!;
    await using server = new AckedServer({ dialect, echo: true, window: window(), cacheSize: 2 ** 16 });
    const links = { address: server.address, cutWithin: 40_000, abandon: 0.3, random: random.fork() };
    const { dial, bury } = dialer(links);
    const client = await openTo(server, { dial, window: window(), cacheSize: 2 ** 16 });
    const { connection } = client;
    const writing = (async () => {
      for (let at = 0; at < TOTAL;) {
        const length = Math.min(size(), TOTAL - at);
        await connection.write(pattern(at, length));
        at += length;
        if (random.next() < 0.2) await turn();
        if (random.next() < 0.02) connection.retryNow();
      }
      await connection.closeWrite();
    })();
    let at = 0;
    for (;;) {
      const buffer = new Uint8Array(size());
      const n = await connection.read(buffer);
      if (n === null) break;
      assertSameBytes(buffer.subarray(0, n), pattern(at, n), note);
      at += n;
      if (random.next() < 0.2) await turn();
    }
    await writing;
    assert.deepEqual([await client.closed, at], [undefined, TOTAL], note);
    const resumes = client.events.filter((event) => event.startsWith("resumed")).length;
    assert(resumes >= 5, `it resumed ${resumes} times only: ${note}`);
    bury();
  });
}
