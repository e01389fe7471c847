import assert from "node:assert/strict";
import { AckedStage, type AckedStageOptions } from "../../../helpers/acked_stage.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { bytes } from "../../../helpers/session_stage.ts";

type Time = ReturnType<typeof stillTime>;

const PINGS = { pingInterval: 15_000, pingTimeout: 10_000, reuseTime: 3_600_000 };
const [PING, PONG, ACK] = [3, 4, 2];

/** A session that is looked at once a second. */
class Watched {
  readonly stage: AckedStage;
  readonly #time: Time;
  #seen = 0;

  constructor(stage: AckedStage, time: Time) {
    this.stage = stage;
    this.#time = time;
    this.#seen = stage.flow.written.length;
  }

  static async of(time: Time, options: AckedStageOptions = {}): Promise<Watched> {
    return new Watched(await AckedStage.relaying({ ...PINGS, ...options }), time);
  }

  /** So many seconds pass, with one look in each, and `each` before it. */
  async pass(seconds: number, each: () => unknown = () => {}): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.#time.pass(1000);
      await each();
      this.stage.session.look(0);
      await Promise.resolve();
    }
  }

  /** What the proxy wrote since this was asked last. */
  said(): Uint8Array {
    const { written } = this.stage.flow;
    const said = written.subarray(this.#seen);
    this.#seen = written.length;
    return said;
  }

  get isAttached(): boolean {
    return this.stage.session.state === "attached";
  }
}

const pongFor = (ping: Uint8Array) => Uint8Array.of(PONG, ...ping.subarray(1, 5));

Deno.test("an idle link is pinged once in the interval, and lives as long as it answers", async () => {
  using time = stillTime();
  const watched = await Watched.of(time);
  for (let round = 1; round <= 3; round++) {
    await watched.pass(14);
    assert.equal(watched.said().length, 0);
    await watched.pass(1);
    const ping = watched.said();
    assert.deepEqual([...ping], [PING, 0, 0, 0, round]);
    watched.stage.flow.bring(pongFor(ping));
    await watched.pass(1); // the time is counted from a look that finds it
  }
  assert.equal(watched.isAttached, true);
});

Deno.test("what does not answer is lost within ping_timeout, and about a second; the session is not", async () => {
  using time = stillTime();
  const watched = await Watched.of(time);
  const { stage } = watched;
  await watched.pass(15);
  assert.equal(watched.said()[0], PING);
  await watched.pass(9);
  assert.equal(watched.isAttached, true);
  assert.equal(watched.said().length, 0, "more PINGs do not lengthen the wait");
  await watched.pass(2);
  assert.deepEqual([stage.session.state, stage.ends, stage.flow.isClosed, stage.backendSaw], [
    "detached",
    [],
    true,
    "open",
  ]);
  assert.match(String(stage.log.of("session lost")[0]!.reason), /10000 ms.*ping_timeout/);
  stage.resume();
  stage.backend.bring(bytes("abc"));
  stage.read();
  assert.equal(new TextDecoder().decode(stage.got), "abc");
  // The times are those of the new link.
  await watched.pass(4);
  assert.equal(watched.isAttached, true);
});

Deno.test("a client that says something is pinged all the same while the proxy has nothing to say", async () => {
  using time = stillTime();
  const watched = await Watched.of(time);
  // By looks it has said its answer in the first second.
  await watched.pass(16, () => watched.stage.flow.bring(Uint8Array.of(PONG, 0, 0, 0, 0)));
  assert.equal(watched.said()[0], PING);
  // Any byte is heard, be it no answer.
  await watched.pass(60, () => watched.stage.flow.bring(Uint8Array.of(PONG, 0, 0, 0, 0)));
  assert.equal(watched.isAttached, true);
});

Deno.test("something unacknowledged is asked for after 5 s of silence, and the link is lost after ping_timeout", async () => {
  using time = stillTime();
  const watched = await Watched.of(time);
  watched.stage.backend.bring(bytes("abc"));
  watched.said();
  await watched.pass(4);
  assert.equal(watched.said().length, 0);
  await watched.pass(1);
  assert.equal(watched.said()[0], PING);
  await watched.pass(9);
  assert.equal(watched.isAttached, true);
  await watched.pass(2);
  assert.equal(watched.isAttached, false);
});

Deno.test("without an interval there are no PINGs, but those of the client are answered", async () => {
  using time = stillTime();
  const watched = await Watched.of(time, { pingInterval: 0, backendRoom: 0 });
  watched.stage.backend.bring(bytes("abc"));
  watched.said();
  await watched.pass(100);
  assert.deepEqual([watched.said().length, watched.isAttached], [0, true]);
  // At once, and while the consumer takes nothing.
  await watched.stage.send("held");
  watched.stage.flow.bring(Uint8Array.of(PING, 1, 2, 3, 4));
  await Promise.resolve();
  assert.deepEqual([...watched.said()], [PONG, 1, 2, 3, 4]);
});

Deno.test("a link that takes no bytes is no excuse: it is lost after ping_timeout", async () => {
  using time = stillTime();
  const watched = await Watched.of(time);
  watched.stage.flow.room = 0;
  await watched.pass(15 + 11);
  assert.equal(watched.isAttached, false);
});

Deno.test("a link of 2 KB/s is not called dead: each byte is heard, though PONG waits behind 256 KiB", async () => {
  using time = stillTime();
  const watched = await Watched.of(time, { window: 2 ** 20, pingTimeout: 3000 });
  const { stage } = watched;
  // What the client's system holds: DATA of 16 KiB, of which a PONG is the last.
  const data = new Uint8Array(3 + 16_384);
  data.set([1, 0x40, 0]);
  let at = 0;
  await watched.pass(130, () => {
    for (let left = 2000; left > 0;) {
      const part = data.subarray(at, at + left);
      stage.flow.bring(part);
      at = (at + part.length) % data.length;
      left -= part.length;
    }
  });
  assert.equal(watched.isAttached, true);
  assert(stage.backend.written.length > 250_000);
});

Deno.test("while bytes of DATA come, something is said at least every 2 s, also when nothing is consumed", async () => {
  for (let phase = 0; phase < 1000; phase += 125) {
    using time = stillTime();
    const watched = await Watched.of(time, { backendRoom: 0, window: 100_000 });
    const { stage } = watched;
    stage.flow.bring(Uint8Array.of(1, 0x40, 0));
    let [lastSaid, now] = [0, 0];
    for (let step = 0; step < 30_000; step += 125) {
      time.pass(125);
      now += 125;
      if (step % 1000 === phase) stage.session.look(0);
      stage.flow.bring(Uint8Array.of(1));
      // An answer in between, at any time.
      if (step === 4000) stage.flow.bring(Uint8Array.of(1));
      if (watched.said().length > 0) lastSaid = now;
      assert(now - lastSaid <= 2000, `nothing was said for ${now - lastSaid} ms, at ${now}`);
    }
  }
});

Deno.test("what is consumed is acknowledged within one second, by looks that are not quite regular", async () => {
  for (const early of [0, 3]) {
    using time = stillTime();
    const watched = await Watched.of(time);
    for (let round = 0; round < 10; round++) {
      // The look before this one was late.
      watched.stage.session.look(0);
      await watched.stage.send("x");
      time.pass(1000 - early);
      watched.stage.session.look(0);
      assert.equal(watched.said()[0], ACK, "it would come a second later");
    }
  }
});

Deno.test("a process that was stopped reads what is waiting before it calls a link lost", async () => {
  using time = stillTime();
  const watched = await Watched.of(time);
  time.pass(3_600_000);
  watched.stage.session.look(0);
  time.pass(3_600_000);
  watched.stage.session.look(0);
  assert.equal(watched.isAttached, true);
  watched.stage.flow.bring(pongFor(watched.said()));
  await watched.pass(14);
  assert.equal(watched.isAttached, true);
});

Deno.test("a consumer that takes nothing for an hour is no loss", async () => {
  using time = stillTime();
  const watched = await Watched.of(time, { backendRoom: 0 });
  await watched.stage.send("abc");
  await watched.pass(3600, () => {
    const said = watched.said();
    if (said[0] === PING) watched.stage.flow.bring(pongFor(said));
  });
  assert.equal(watched.isAttached, true);
});

Deno.test("a byte a second, each way: each is acknowledged within a second, and the link lives", async () => {
  using time = stillTime();
  const watched = await Watched.of(time, { pingTimeout: 3000 });
  const { stage } = watched;
  for (let i = 1; i <= 200; i++) {
    await stage.send("x");
    stage.backend.bring(bytes("y"));
    await watched.pass(1);
    stage.read();
    assert.equal(stage.client.acked, i);
    stage.client.sayAck();
  }
  assert.deepEqual([stage.backend.written.length, stage.got.length, watched.isAttached], [200, 200, true]);
  assert.equal(stage.log.of("session lost").length, 0);
});
