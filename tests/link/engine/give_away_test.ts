import assert from "node:assert/strict";
import type { EngineName } from "../../../lib/config/engines.ts";
import type { Engine } from "../../../lib/link/engine/engine.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { flowIn, isMovableFlow, type MovableFlow, type Sink } from "../../../lib/link/flow.ts";
import type { Link } from "../../../lib/link/link.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { engineOf, NATIVE } from "../../helpers/engine.ts";
import { Stage } from "../../helpers/engine_pair.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { pattern, Random } from "../../helpers/random.ts";
import { turn, until } from "../../helpers/turns.ts";

const [UP, DOWN] = [1, 2];
const NOWHERE = { hostname: "192.0.2.1", port: 5 };

function movableIn(link: Link): MovableFlow {
  const flow = flowIn(link)!;
  assert(isMovableFlow(flow));
  return flow;
}

/** One end of a connection that goes from engine to engine; what comes is checked where it is told. */
class Wanderer implements Sink {
  came = 0;
  sent = 0;
  moves = 0;
  /** The most that was found under way. */
  unsent = 0;
  untold = 0;
  hasEnded = false;
  #flow: MovableFlow;
  #left: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #isEnding = false;
  #isBlocked = false;
  readonly #random: Random;

  constructor(flow: MovableFlow, random: Random) {
    this.#flow = flow;
    this.#random = random;
    flow.sink = this;
  }

  /** Writes so many bytes of the stream, if there is room for them. */
  write(count: number): void {
    while (count > 0 && !this.#isBlocked && this.#left.length === 0) {
      const n = this.#flow.write(pattern(this.sent, count, UP));
      this.#isBlocked = n < count;
      this.sent += n;
      count -= n;
    }
  }

  end(): void {
    this.#isEnding = true;
    if (this.#left.length === 0) this.#flow.closeWrite();
  }

  read(): void {
    this.#flow.resume(this.#random.int(1, 20_000));
  }

  pause(): void {
    this.#flow.pause();
  }

  async moveTo(engine: Engine): Promise<void> {
    const given = await this.#flow.giveAway();
    assert(given, "it was closed");
    assert.equal(await this.#flow.giveAway(), undefined);
    const { fd, remains } = given;
    this.moves++;
    this.unsent = Math.max(this.unsent, remains.unsent.length);
    this.untold = Math.max(this.untold, remains.came.length);
    assert.equal(remains.fault, undefined);
    const link = engine.adopt!(fd, structuredClone(remains), NOWHERE);
    assert.deepEqual(link.remote, NOWHERE);
    this.#flow = movableIn(link);
    this.#flow.sink = this;
    this.#left = concat([remains.unsent, this.#left]);
    this.#isBlocked = false;
    this.writable();
  }

  close(): void {
    this.#flow.close();
  }

  readable(bytes: Uint8Array): void {
    assert(!this.hasEnded, "bytes after the end");
    assertSameBytes(bytes, pattern(this.came, bytes.length, DOWN), `at ${this.came}`);
    this.came += bytes.length;
    if (this.#random.next() < 0.3) this.#flow.pause();
  }

  writable(): void {
    this.#isBlocked = false;
    if (this.#left.length === 0) return;
    this.#left = this.#left.subarray(this.#flow.write(this.#left));
    if (this.#left.length === 0 && this.#isEnding) this.#flow.closeWrite();
  }

  ended(): void {
    assert(!this.hasEnded, "a second end");
    this.hasEnded = true;
  }

  lost(error: unknown): void {
    throw error;
  }
}

/** The other end, which reads and writes as it likes. Gives what it has read when it has read the end, and closed. */
async function bystander(link: Link, bytes: number, random: Random): Promise<Uint8Array> {
  const write = async () => {
    for (let at = 0; at < bytes;) {
      at += await link.write(pattern(at, Math.min(random.int(1, 20_000), bytes - at), DOWN));
      if (random.next() < 0.2) await turn();
    }
    await link.closeWrite();
  };
  const read = async () => {
    const parts: Uint8Array[] = [];
    const buffer = new Uint8Array(20_000);
    for (;;) {
      // Now and then it is slow, so that all that lies between fills.
      if (random.next() < 0.02) { for (let turns = random.int(0, 300); turns > 0; turns--) await turn(); }
      const n = await link.read(buffer.subarray(0, random.int(1, 20_000)));
      if (n === null) return concat(parts);
      parts.push(buffer.slice(0, n));
    }
  };
  const [got] = await Promise.all([read(), write()]);
  return got;
}

/** A connection of that family goes from engine to engine, under load. */
async function wander(names: EngineName[], family: "IPv4" | "Unix", random: Random): Promise<Wanderer> {
  await using stage = Stage.open(names[0]!, family);
  const others = names.slice(1).map(engineOf);
  const [near, far] = await stage.pair();
  const wanderer = new Wanderer(movableIn(near), random);
  const up = random.int(0, 600_000);
  const down = random.int(0, 600_000);
  const other = bystander(far, down, random.fork());
  const engines = [stage.engine, ...others];
  const least = random.int(1, 3);
  for (let steps = 0; wanderer.sent < up || !wanderer.hasEnded; steps++) {
    assert(steps < 200_000, `it stands still at ${wanderer.sent} of ${up}, ${wanderer.came} of ${down}`);
    const what = random.int(0, 9);
    if (what < 4) wanderer.write(Math.min(random.int(1, [1000, 3000, 60_000][least - 1]!), up - wanderer.sent));
    else if (what < 6) wanderer.read();
    else if (what === 6) wanderer.pause();
    else if (what === 7) await wanderer.moveTo(engines[random.int(0, engines.length - 1)]!);
    else await turn();
  }
  wanderer.end();
  for (const engine of engines) await wanderer.moveTo(engine);
  assertSameBytes(await other, pattern(0, up, UP));
  assert.equal(wanderer.came, down);
  wanderer.close();
  for (const engine of others) await engine.close();
  return wanderer;
}

for (const family of ["IPv4", "Unix"] as const) {
  Deno.test(`a connection over ${family} goes from engine to engine, and its other end notices nothing`, async () => {
    const random = new Random();
    const before = ownDescriptors();
    let [moves, unsent, untold] = [0, 0, 0];
    // What waits in the ring is under way, both ways; what the system takes of TCP is too much for that.
    const isUnderWay = () => !NATIVE.includes("uring") || (untold > 0 && (unsent > 0 || family === "IPv4"));
    for (let run = 0; run < 8 || (run < 100 && !isUnderWay()); run++) {
      const names = random.next() < 0.5 ? [...NATIVE, ...NATIVE] : NATIVE.toReversed();
      try {
        const wanderer = await wander(names, family, random);
        moves += wanderer.moves;
        unsent = Math.max(unsent, wanderer.unsent);
        untold = Math.max(untold, wanderer.untold);
      } catch (error) {
        throw new Error(`GOSCON_SEED=${random.seed} shows this again`, { cause: error });
      }
    }
    assert(moves > 100, `only ${moves}`);
    assert(isUnderWay(), `unsent ${unsent}, untold ${untold}`);
    assert.deepEqual(ownDescriptors(), before);
  });
}

for (const [from, to] of NATIVE.flatMap((from) => NATIVE.map((to) => [from, to] as const))) {
  Deno.test(`a connection that has ended, or broken, is so after it went from ${from} to ${to}`, async () => {
    await using stage = Stage.open(from);
    const engine = engineOf(to);
    for (const how of ["ended", "ended and told", "broken"] as const) {
      const [near, far] = await stage.pair();
      const flow = movableIn(near);
      const told: string[] = [];
      const sink: Sink = {
        readable: (bytes) => told.push(`${bytes.length} bytes`),
        writable() {},
        ended: () => told.push("ended"),
        lost: () => told.push("lost"),
      };
      flow.sink = sink;
      if (how === "broken") {
        far.reset();
        // A write finds out, and what the system says of it once is known here.
        await until(() => {
          try {
            flow.write(new Uint8Array(1));
            return false;
          } catch {
            return true;
          }
        }, () => "it does not break");
      } else {
        await far.write(pattern(0, 10));
        await far.closeWrite();
      }
      if (how === "ended and told") {
        flow.resume(100);
        await until(() => told.length === 2, () => "nothing is told");
      }
      const { fd, remains } = (await flow.giveAway())!;
      const next = movableIn(engine.adopt!(fd, remains, NOWHERE));
      next.sink = sink;
      if (how === "broken") assert.throws(() => next.write(new Uint8Array(1)));
      next.resume(100);
      const expected = how === "broken" ? ["lost"] : ["10 bytes", "ended"];
      await until(() => told.length >= expected.length, () => `told: ${told}`);
      for (let turns = 0; turns < 50; turns++) await turn();
      assert.deepEqual(told, expected, how);
      if (how !== "broken") assert.equal(next.write(new Uint8Array(5)), 5, "its own direction has not ended");
      next.close();
    }
    await engine.close();
  });

  Deno.test(`a flow of ${from} that is closed while it is given away gives nothing, and to ${to} nothing goes that is no socket`, async () => {
    const before = ownDescriptors();
    {
      await using stage = Stage.open(from);
      const [near] = await stage.pair();
      const flow = movableIn(near);
      flow.resume(100);
      flow.write(new Uint8Array(5));
      const giving = flow.giveAway();
      flow.close();
      assert.equal(await giving, undefined);
      const engine = engineOf(to);
      const nothing = new Uint8Array(0);
      const remains = { came: nothing, unsent: nothing, isOver: false, isEnding: false, fault: undefined };
      assert.throws(() => engine.adopt!(System.open().createBell(), remains, NOWHERE));
      await engine.close();
    }
    assert.deepEqual(ownDescriptors(), before);
  });
}
