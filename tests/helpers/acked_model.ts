import assert from "node:assert/strict";
import { AckedStage, type AckedStageOptions } from "./acked_stage.ts";
import { assertSameBytes, concat } from "./bytes.ts";
import type { stillTime } from "./clock.ts";
import type { ManualFlow } from "./manual_flow.ts";
import { pattern } from "./random.ts";
import type { MoveOptions } from "./session_model.ts";
import { soon } from "./session_stage.ts";

/** The streams: what the client sends, and what the backend sends. */
const [UP, DOWN] = [1, 2];

/** Steps within which all has arrived, once nothing holds anyone up. */
const ENOUGH = 10_000;

export type AckedModelOptions =
  & Required<
    Pick<
      AckedStageOptions,
      "cacheSize" | "window" | "clientWindow" | "dialect" | "clientRoom" | "backendRoom" | "position"
    >
  >
  & { isReached: boolean };

/** Both ends of a session of version 2, and the network between: what each has sent is checked, byte by byte, where it arrives. */
export class AckedModel {
  readonly stage: AckedStage;
  readonly #options: AckedModelOptions;
  readonly #time: ReturnType<typeof stillTime>;
  /** On their way to the proxy, over the connection there is. */
  #inFlight: Uint8Array = new Uint8Array(0);
  /** Bytes of the stream that the client has sent. */
  #sent = 0;
  /** The client has lost its connection; the proxy may not know. */
  #isAway = false;
  #hasBackendEnded = false;
  /** What the backend's connection has ever taken, also when that was not sent before a move. */
  #taken = 0;
  #isEndTaken = false;

  constructor(options: AckedModelOptions, time: ReturnType<typeof stillTime>) {
    this.#options = options;
    this.#time = time;
    this.stage = AckedStage.run(options);
    this.stage.appetite = 0;
  }

  get #flow(): ManualFlow {
    return this.stage.flow;
  }

  /** The client sends as much of that as there is room for. */
  clientSends(n: number): void {
    const { client } = this.stage;
    const count = Math.min(n, client.room);
    if (count > 0) client.send(pattern(this.#sent, count, UP));
    this.#sent += count;
    this.#clientWrites();
  }

  clientFinishes(): void {
    this.stage.client.finish();
    this.#clientWrites();
  }

  /** So many bytes of what is in flight come to the proxy. */
  async arrives(n: number): Promise<void> {
    assert(this.#flow.isHeard || this.#flow.isClosed, "the client is not heard");
    const part = this.#inFlight.subarray(0, Math.min(n, this.#flow.most));
    if (!this.#flow.isHeard || part.length === 0) return;
    this.#inFlight = this.#inFlight.subarray(part.length);
    this.#flow.bring(part);
    await soon();
  }

  networkTakes(n: number): void {
    if (!this.#flow.isClosed) this.#flow.take(n);
  }

  /** The client reads so many bytes of what its connection took. */
  clientReads(n: number): void {
    if (this.#isAway) return;
    this.stage.read(n);
    this.#checkGot();
    this.#clientWrites();
  }

  /** The client's program takes so many bytes more. */
  clientTakes(n: number): void {
    this.stage.feed(n);
    this.#checkGot();
    this.#clientWrites();
  }

  /** The client says what it owes, as it does once in a second. */
  clientSays(): void {
    this.stage.client.sayAck();
    this.#clientWrites();
  }

  /** The client loses its connection; the proxy hears of it in one way or another, or not at all. */
  cut(how: "end" | "loss" | "broken" | "unnoticed"): void {
    this.#isAway = true;
    if (this.#flow.isClosed || how === "unnoticed") return;
    if (how === "broken") return this.#flow.break();
    if (this.#flow.isHeard) how === "end" ? this.#flow.end() : this.#flow.lose();
  }

  /** The client comes over another connection: it always resumes. */
  resume(room: number): void {
    if (this.stage.ends.length > 0) return;
    // The stage reads the answer from its flow.
    this.stage.resume({ room: room + 400 });
    this.#isAway = false;
    this.#inFlight = new Uint8Array(0);
    this.#clientWrites();
  }

  /** What is on its way to the proxy, and what the client has not read yet. */
  get underWay(): { up: number; down: number } {
    return { up: this.#inFlight.length, down: this.stage.unread };
  }

  backendSends(n: number): void {
    const { backend } = this.stage;
    if (backend.isHeard) backend.bring(pattern(backend.brought, Math.min(n, backend.most), DOWN));
  }

  backendEnds(): void {
    this.#hasBackendEnded = true;
    this.stage.backend.end();
  }

  backendTakes(n: number): void {
    if (!this.stage.backend.isClosed) this.stage.backend.take(n);
  }

  async backendReached(): Promise<void> {
    if (!this.stage.isDialled) await this.stage.connect();
  }

  /** The session goes on elsewhere; or cannot yet. `isAlong`: with the client's connection, if there is one. */
  move({ client, backend, isAlong }: MoveOptions): void {
    const { stage } = this;
    if (stage.ends.length > 0) return;
    const before = stage.session.state;
    this.#flow.isCarriedOn = !isAlong;
    const wasOpen = !this.#flow.isClosed;
    this.#noteTaken();
    assert(stage.move({ client: Math.min(client, stage.unreadFrames), backend }) || stage.ends.length > 0);
    // One that broke unnoticed may be found out.
    if (isAlong && !this.#isAway) assert.deepEqual([stage.session.state, !this.#flow.isClosed], [before, wasOpen]);
    if (!isAlong && wasOpen) this.#isAway = true;
  }

  look(): void {
    this.#time.pass(1000);
    this.stage.session.look(0);
  }

  /** What holds after each step. */
  async check(): Promise<void> {
    await soon();
    const { backend, session, client, flows, ends } = this.stage;
    assert.deepEqual(ends, [], `it has ended: ${this.stage.log.events.at(-1)?.reason}`);
    assertSameBytes(backend.written, pattern(0, backend.written.length, UP), "taken by the backend");
    assert(flows.slice(0, -1).every((flow) => flow.isClosed), "a connection that was replaced is open");
    const { position } = this.#options;
    const [received, sent] = [session.received - position, session.sent - position];
    assert(received <= this.#sent && backend.written.length <= received, "more arrived than was sent");
    this.#noteTaken();
    assert(client.acked - position <= this.#taken + (this.#isEndTaken ? 1 : 0), "more is acknowledged than taken");
    assert(received - this.#taken <= this.#options.window, "more waits than fits the window");
    const held = backend.brought - sent;
    assert(held === 0 || (backend.isPaused && held <= backend.most), `${held} bytes are held, and more may come`);
  }

  /**
   * The client comes back if it has to, and nothing holds anyone up any more: everything arrives, and nobody waits for what is said once in
   * a second. Then both end.
   */
  async settle(): Promise<void> {
    await this.backendReached();
    if (this.#isAway || this.#flow.isClosed) this.resume(Infinity);
    this.clientTakes(Infinity);
    const { stage } = this;
    await this.#until(() =>
      stage.backend.written.length === this.#sent && stage.got.length === stage.backend.brought &&
      (stage.backend.isHeard || stage.ends.length > 0)
    );
    this.clientFinishes();
    await this.#until(() => stage.backend.isWriteClosed);
    if (!this.#hasBackendEnded) this.backendEnds();
    await this.#until(() => stage.ends.length > 0);
    assert.deepEqual([stage.code, stage.closed, stage.hasEnded, stage.client.isSentDone], [0, 0, true, true]);
    assert.equal(stage.budget.inUse, 0);
  }

  async #until(condition: () => boolean): Promise<void> {
    for (let steps = 0; !condition(); steps++) {
      assert(steps < ENOUGH, `stuck: ${this.stage.backend.written.length} of ${this.#sent}, ${this.stage.got.length}`);
      this.networkTakes(Infinity);
      this.backendTakes(Infinity);
      await this.arrives(Infinity);
      this.clientReads(Infinity);
      if (this.stage.ends.length === 0) await this.check();
    }
    this.clientReads(Infinity);
  }

  #noteTaken(): void {
    const { backend } = this.stage;
    this.#taken = Math.max(this.#taken, backend.written.length);
    this.#isEndTaken ||= backend.isWriteClosed;
  }

  #checkGot(): void {
    const { got } = this.stage;
    assertSameBytes(got, pattern(0, got.length, DOWN), "taken by the client");
  }

  /** What the client has to say is on its way, if it has a connection. */
  #clientWrites(): void {
    const { client } = this.stage;
    for (let wire = client.wire; !this.#isAway && wire.length > 0; wire = client.wire) {
      this.#inFlight = concat([this.#inFlight, wire]);
      client.wrote(wire.length);
    }
  }
}
