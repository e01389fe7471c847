import assert from "node:assert/strict";
import { type Dialect, ScpError } from "../../lib/scp/mod.ts";
import { assertSameBytes, concat } from "./bytes.ts";
import type { ManualFlow } from "./manual_flow.ts";
import { pattern } from "./random.ts";
import { SessionStage, soon } from "./session_stage.ts";

/** The streams: what the client sends, and what the backend sends. */
const [UP, DOWN] = [1, 2];

/** Of what each connection has taken, how many bytes at the most are not sent; and whether the client's can go along. */
export interface MoveOptions {
  client: number;
  backend: number;
  isAlong: boolean;
}

export interface ModelOptions {
  cacheSize: number;
  dialect: Dialect;
  /** How many bytes the first connection, and the backend, take until they are given more room. */
  clientRoom: number;
  backendRoom: number;
}

/** Both ends of a session, and the network between the client and it: what each has sent is checked, byte by byte, where it arrives. */
export class SessionModel {
  readonly stage: SessionStage;
  readonly #cacheSize: number;
  /** On their way to the proxy, over the connection there is. */
  #inFlight: Uint8Array = new Uint8Array(0);
  /** How much the client has read of what its connection took, and how much of that is the answer. */
  #read = 0;
  #answer = "answer ".length;
  /** The client has lost its connection; the proxy may not know. */
  #isAway = false;
  /** It ended the session: the client lacked more than is held. */
  isLost = false;

  constructor(options: ModelOptions) {
    this.#cacheSize = options.cacheSize;
    this.stage = SessionStage.run(options);
  }

  get #flow(): ManualFlow {
    return this.stage.flow;
  }

  /** The client writes; what it writes without a connection it sends when it has one again. */
  clientSends(n: number): void {
    const sealed = pattern(this.stage.client.sent, n, UP);
    this.stage.client.seal(sealed);
    if (!this.#isAway) this.#inFlight = concat([this.#inFlight, sealed]);
  }

  /** So many bytes of what is in flight come to the proxy, if it hears them. */
  arrives(n: number): void {
    const part = this.#inFlight.subarray(0, Math.min(n, this.#flow.most));
    if (!this.#flow.isHeard || part.length === 0) return;
    this.#inFlight = this.#inFlight.subarray(part.length);
    this.#flow.bring(part);
  }

  /** The connection takes so many bytes more. */
  networkTakes(n: number): void {
    if (!this.#flow.isClosed) this.#flow.take(n);
  }

  /** The client reads so many bytes of what its connection took. */
  clientReads(n: number): void {
    if (this.#isAway) return;
    const from = Math.max(this.#read, this.#answer);
    this.#read = Math.min(this.#read + n, this.#flow.written.length);
    const part = this.#flow.written.slice(from, Math.max(this.#read, from));
    const at = this.stage.client.received;
    this.stage.client.open(part);
    assertSameBytes(part, pattern(at, part.length, DOWN), `read by the client at ${at}`);
  }

  /** The client loses its connection; the proxy hears of it in one way or another, or not at all. */
  cut(how: "end" | "loss" | "broken" | "unnoticed"): void {
    this.#isAway = true;
    if (this.#flow.isClosed || how === "unnoticed") return;
    if (how === "broken") return this.#flow.break();
    if (this.#flow.isHeard) how === "end" ? this.#flow.end() : this.#flow.lose();
  }

  /** The client comes over another connection; nothing of what was in flight on the one before comes. */
  resume(room: number): void {
    const { client, session, ends } = this.stage;
    if (ends.length > 0 || this.isLost) return;
    const { sent, received } = session.describe();
    try {
      assert.equal(this.stage.tryResume(client.nextResume(), { room }), true);
    } catch (error) {
      if (!(error instanceof ScpError && error.code === 406)) throw error;
      assert(sent - client.received > this.#cacheSize, "it was refused what is held");
      return void (this.isLost = true);
    }
    this.#isAway = false;
    this.#read = 0;
    this.#answer = `resumed at ${received} `.length;
    this.#inFlight = concat(client.missing(received));
  }

  backendSends(n: number): void {
    const { backend } = this.stage;
    if (backend.isHeard) backend.bring(pattern(backend.brought, Math.min(n, backend.most), DOWN));
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
    assert(
      stage.move({ client: Math.min(client, this.#flow.written.length - this.#read), backend }) ||
        stage.ends.length > 0,
    );
    // One that broke unnoticed may be found out.
    if (isAlong && !this.#isAway) assert.deepEqual([stage.session.state, !this.#flow.isClosed], [before, wasOpen]);
    if (!isAlong && wasOpen) this.#isAway = true;
  }

  look(): void {
    this.stage.session.look(0);
  }

  /** What holds after each step. */
  async check(): Promise<void> {
    await soon();
    const { backend, session, client, flows } = this.stage;
    const { received, sent } = session.describe();
    assertSameBytes(backend.written, pattern(0, backend.written.length, UP), "taken by the backend");
    assert(received <= client.sent && backend.written.length <= received, "more arrived than was sent");
    assert(sent <= backend.brought && client.received <= sent, "more arrived than was sent");
    assert(flows.slice(0, -1).every((flow) => flow.isClosed), "a connection that was replaced is open");
    if (this.isLost) return;
    const held = backend.brought - sent;
    assert(held === 0 || (backend.isPaused && held <= this.#cacheSize), `${held} bytes are held, and more may come`);
    if (received > backend.written.length) assert(!this.#flow.isHeard, "the client is heard while the backend is full");
  }

  /** The client comes back if it has to, and nothing holds anyone up any more: everything arrives, and both are heard. */
  async settle(): Promise<void> {
    await this.backendReached();
    if (this.#isAway || this.#flow.isClosed) this.resume(Infinity);
    if (this.isLost) return;
    const { stage } = this;
    this.networkTakes(Infinity);
    this.backendTakes(Infinity);
    await this.check();
    while (this.#inFlight.length > 0) {
      const before = this.#inFlight.length;
      this.arrives(Infinity);
      assert(this.#inFlight.length < before, "the client is not heard");
      await this.check();
    }
    this.clientReads(Infinity);
    assert.equal(stage.backend.written.length, stage.client.sent, "the backend lacks something");
    assert.equal(stage.client.received, stage.backend.brought, "the client lacks something");
    assert(stage.flow.isHeard && stage.backend.isHeard, "one is held up for nothing");
  }
}
