import assert from "node:assert/strict";
import { Liveness } from "../../../lib/scp/v2/mod.ts";
import { AckedPair } from "../../helpers/acked_pair.ts";

/** Milliseconds between two moments. */
const STEP = 100;

interface Way {
  bytesPerSecond: number;
  /** How many bytes wait in the network at most, each way. */
  capacity?: number;
  /** Milliseconds between two moments at which something arrives; Infinity: nothing ever does. */
  every?: number;
  pingTimeout?: number;
}

/** A pair whose links take their time, and whose ends look once a second, not both at once. */
class SlowPair {
  readonly pair: AckedPair;
  readonly #liveness: Liveness[];
  readonly #bytes: number;
  readonly #every: number;
  #now = 0;
  /** When an end said that the link is lost. */
  lostAt: number | undefined;
  /** Bytes that went, of either end. */
  flushed = 0;

  constructor({ bytesPerSecond, capacity = Infinity, every = STEP, pingTimeout = 3000 }: Way) {
    this.#liveness = [1, 2].map(() => new Liveness({ pingInterval: 15_000, pingTimeout }, 0));
    this.#bytes = bytesPerSecond * every / 1000;
    this.#every = every;
    const sizes = { windows: [262144, 262144], caches: [2 ** 20, 2 ** 20] } as const;
    this.pair = new AckedPair({ dialect: "plain", ...sizes, capacity, starts: [0, 0] });
  }

  /** So many seconds pass; before each step `act` may do something. */
  pass(seconds: number, act: () => void = () => {}): void {
    for (const until = this.#now + 1000 * seconds; this.#now < until && this.lostAt === undefined;) {
      this.#now += STEP;
      act();
      this.pair.ends.forEach((end, i) => {
        const liveness = this.#liveness[i]!;
        if (this.#now % this.#every === 0 && end.arrive(this.#bytes, 65536) > 0) liveness.heard();
        if (this.#now % 1000 === 300 * i) this.#look(i);
        const flushed = end.flush(Infinity);
        if (flushed > 0) liveness.said();
        this.flushed += flushed;
      });
      this.pair.check();
    }
  }

  #look(i: number): void {
    const { session } = this.pair.ends[i]!;
    const { owesAck, sent, acked, received } = session;
    const duty = this.#liveness[i]!.look(this.#now, { owesAck, isUnacked: sent > acked, received });
    if (duty === "lost") this.lostAt = this.#now;
    if (duty === "ping") session.sayPing();
    if (duty === "ack") session.sayAck();
  }
}

Deno.test("a link of 2 KB a second with full buffers is not called dead, whether its consumer takes or not", () => {
  for (const appetite of [0, 1e9]) {
    for (const capacity of [4096, 65536]) {
      for (const isBothWays of [false, true]) {
        const slow = new SlowPair({ bytesPerSecond: 2000, capacity });
        const [client, proxy] = slow.pair.ends;
        for (const end of slow.pair.ends) end.eat(appetite);
        slow.pass(200, () => {
          client.send(Infinity);
          if (isBothWays) proxy.send(Infinity);
        });
        assert.equal(slow.lostAt, undefined, JSON.stringify({ appetite, capacity, isBothWays }));
        assert(slow.flushed > 262144, `${slow.flushed} bytes`);
      }
    }
  }
});

Deno.test("two idle ends say no more than PINGs and PONGs, however long what they say takes", () => {
  for (const every of [100, 700, 1500, 2500]) {
    const slow = new SlowPair({ bytesPerSecond: 1000, every, pingTimeout: 10_000 });
    const [client, proxy] = slow.pair.ends;
    proxy.eat(1e9);
    client.send(10);
    slow.pass(60);
    assert.equal(client.session.acked, 10);
    slow.flushed = 0;
    slow.pass(300);
    assert.equal(slow.lostAt, undefined);
    // Each of both may ask in each interval.
    assert(slow.flushed <= 2 * 10 * (300 / 15 + 1), `${slow.flushed} bytes, every ${every} ms`);
  }
});

Deno.test("a dead link is noticed: 15 s and 3 s after the last word, and the looks; sooner with something unacknowledged", () => {
  const idle = new SlowPair({ bytesPerSecond: 1000, every: Infinity });
  idle.pass(60);
  assert(idle.lostAt !== undefined && idle.lostAt >= 18_000 && idle.lostAt <= 20_000, `${idle.lostAt}`);
  const sending = new SlowPair({ bytesPerSecond: 1000, every: Infinity });
  sending.pair.client.send(10);
  sending.pass(60);
  assert(sending.lostAt !== undefined && sending.lostAt >= 8000 && sending.lostAt <= 10_000, `${sending.lostAt}`);
});
