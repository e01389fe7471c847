import assert from "node:assert/strict";
import type { Dialect } from "../../lib/scp/mod.ts";
import { AckedEnd, type LinkEnd } from "./acked_end.ts";
import { Pipe } from "./pipe.ts";

export interface AckedPairOptions {
  dialect: Dialect;
  /** Of the client, and of the proxy. */
  windows: readonly [number, number];
  caches: readonly [number, number];
  /** How many bytes are on their way at most. */
  capacity: number;
  /** The positions at which the client's stream begins, and the proxy's. */
  starts: readonly [number, number];
}

interface Attempt {
  index: number;
  received: number;
  /** What the proxy answered, and what the client has of the new link then. */
  answer?: { received: number; link: LinkEnd };
}

/**
 * Both ends of a session of version 2, and links between them that are cut at any byte, which either end may learn late; the handshakes
 * of resumes, of which any part may be lost or late. It throws as soon as something is not as it has to be.
 */
export class AckedPair {
  readonly client: AckedEnd;
  readonly proxy: AckedEnd;
  #capacity: number;
  /** The attempt of the client that is open. */
  #attempt: Attempt | undefined;
  /** Requests of attempts that were given up, and may still come. */
  readonly #late: Attempt[] = [];
  #usedIndex = 0;

  constructor({ dialect, windows: [ours, theirs], caches, capacity, starts: [up, down] }: AckedPairOptions) {
    const both = { id: 7, secret: 0x123456789abcdef0n, dialect };
    this.client = new AckedEnd({ ...both, cacheSize: caches[0], window: ours, peerWindow: theirs }, true, [up, down]);
    this.proxy = new AckedEnd({ ...both, cacheSize: caches[1], window: theirs, peerWindow: ours }, false, [down, up]);
    this.#capacity = capacity;
    const [client, proxy] = this.#newLink();
    this.client.attach(client, up);
    this.proxy.attach(proxy, down);
  }

  get ends(): [AckedEnd, AckedEnd] {
    return [this.client, this.proxy];
  }

  /** The client's link breaks: of what is on its way each way, so many bytes still arrive. */
  cut(left: number): void {
    for (const { link } of this.ends) {
      link?.in.cut(left);
      link?.out.cut(left);
    }
  }

  /** The client begins to resume: from now on it takes nothing from the link it has, if any, but may write to it. */
  request(): void {
    this.giveUp();
    const { session, link } = this.client;
    this.#attempt = { index: session.nextIndex(), received: session.received };
    link?.in.cut(0);
  }

  /** Its request arrives at the proxy, which takes it, and may write at once. */
  requestArrives(): void {
    if (!this.#attempt || this.#attempt.answer) return;
    const link = this.#taken(this.#attempt);
    this.#attempt.answer = { received: this.proxy.session.received, link };
  }

  /** The answer arrives: the client goes on over the new link. */
  answerArrives(): void {
    const answer = this.#attempt?.answer;
    if (!answer) return;
    this.#attempt = undefined;
    this.client.detach();
    this.client.attach(answer.link, answer.received);
  }

  /** The client gives its attempt up, and with it the old link. The request may still come. */
  giveUp(): void {
    if (!this.#attempt) return;
    if (!this.#attempt.answer) this.#late.push(this.#attempt);
    this.#attempt = undefined;
    this.client.detach();
  }

  /** The client resumes, and nothing comes between. */
  resume(): void {
    this.request();
    this.requestArrives();
    this.answerArrives();
  }

  /** A request of an attempt that was given up arrives: the proxy may take it, but not after a later one. */
  lateArrives(): void {
    const late = this.#late.shift();
    if (!late) return;
    if (late.index > this.#usedIndex) return void this.#taken(late);
    const { snapshot } = this.proxy.session;
    assert.throws(() => this.proxy.session.useIndex(late.index), { name: "ScpError", code: 403 });
    assert.deepEqual(this.proxy.session.snapshot, snapshot);
  }

  /** All that can go over the links goes, until there is nothing more. */
  exchange(): void {
    for (let moved = 1; moved > 0;) {
      moved = 0;
      for (const end of this.ends) moved += end.flush(65536) + end.arrive(Infinity, 65536);
      this.check();
    }
  }

  /** An end goes on in another process, with its link or without. */
  restore(end: AckedEnd, { isAway }: { isAway: boolean }): void {
    if (isAway && end === this.client) this.giveUp();
    if (isAway) end.detach();
    end.restore();
  }

  check(): void {
    this.client.check(this.proxy);
    this.proxy.check(this.client);
  }

  /** Nothing holds anyone up any more: each end sends so many bytes and ends, and all of it is consumed, without a clock. */
  settle(more: readonly [number, number]): void {
    this.#capacity = Infinity;
    this.resume();
    const left = this.ends.map(({ session }, i) => session.snapshot.outgoing.finish !== "none" ? 0 : more[i]!);
    for (let moved = 1; moved > 0;) {
      moved = 0;
      this.ends.forEach((end, i) => {
        const before = end.eaten;
        end.eat(Infinity);
        const sent = end.send(left[i]!);
        left[i]! -= sent;
        if (left[i] === 0) end.session.finish();
        moved += sent + end.eaten - before + end.flush(Infinity) + end.arrive(Infinity, 65536);
      });
      this.check();
    }
    this.ends.forEach((end, i) => {
      const { session, eaten } = end;
      const other = this.ends[1 - i]!;
      assert.equal(left[i], 0, "an end cannot send any more");
      assert.equal(eaten, other.sent, "not all that was sent was consumed");
      assert.deepEqual([session.isSentDone, session.isReceivedDone], [true, true]);
      end.checkWritten();
      session.trim();
      assert.deepEqual([session.cacheInUse, session.windowInUse], [0, 0], "a session that is idle holds memory");
    });
  }

  /** The proxy takes a request: the link that it had is gone, and this is the client's end of the new one. */
  #taken({ index, received }: Attempt): LinkEnd {
    const { session } = this.proxy;
    session.useIndex(this.#usedIndex = index);
    session.assertPosition(received);
    const [client, proxy] = this.#newLink();
    this.proxy.detach();
    this.proxy.attach(proxy, received);
    return client;
  }

  #newLink(): [LinkEnd, LinkEnd] {
    const [up, down] = [new Pipe(this.#capacity), new Pipe(this.#capacity)];
    return [{ out: up, in: down }, { out: down, in: up }];
  }
}
