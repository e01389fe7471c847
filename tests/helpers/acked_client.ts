import assert from "node:assert/strict";
import { createECDH, createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { AckedStream, type StreamUser } from "../../lib/link/acked_stream.ts";
import { Condition } from "../../lib/link/condition.ts";
import { flowOf } from "../../lib/link/pumped_flow.ts";
import { type Link, readRecord, writeAll } from "../../lib/link/link.ts";
import type { Dialect } from "../../lib/scp/mod.ts";
import {
  type AckedSession,
  goneProofText,
  KEY_INFO,
  parseAnswerProof,
  requestWithOffer,
  resumeContent,
  resumedProofText,
  resumeProofText,
  saltInput,
  type Terms,
} from "../../lib/scp/v2/mod.ts";
import { concat } from "./bytes.ts";
import { ask, record, tcp } from "./raw_client.ts";

const NEVER = { pingInterval: 0, pingTimeout: 10_000 };

/** What a client by hand is opened with. */
export interface AckedClientOptions {
  target?: string;
  flag?: number;
  dialect?: Dialect;
  window?: number;
  cacheSize?: number;
  /** Missing: TCP. */
  dial?: (address: string) => Promise<Link>;
}

/** A client of version 2 by hand: it resumes only when the test says so, and says nothing that it is not told to but ACKs and PONGs. */
export class AckedClient implements StreamUser, Disposable {
  readonly session: AckedSession;
  readonly terms: Terms;
  readonly key: Uint8Array;
  readonly stream: AckedStream;
  address: string;
  link: Link;
  /** How it ended. */
  hasEnded = false;
  end: { code: number; reason: string } | undefined;
  readonly losses: string[] = [];
  readonly moves: string[] = [];
  /** How many bytes more it takes. */
  appetite = Infinity;
  /** What came of the stream, and what of it was not given yet. */
  #buffer: Uint8Array = new Uint8Array(2 ** 16);
  #given = 0;
  #filled = 0;
  readonly #changed = new Condition();
  /** Opens the next connections. */
  dial: (address: string) => Promise<Link>;

  private constructor(
    address: string,
    options: AckedClientOptions,
    { session, terms, key, link, rest }: {
      session: AckedSession;
      terms: Terms;
      key: Uint8Array;
      link: Link;
      rest: Uint8Array;
    },
  ) {
    this.address = address;
    this.dial = options.dial ?? tcp;
    this.session = session;
    this.terms = terms;
    this.key = key;
    this.link = link;
    this.stream = new AckedStream(session, this, { liveness: NEVER, soon: queueMicrotask });
    this.stream.attach(flowOf(link), { first: new Uint8Array(0), received: 0, rest });
  }

  /** Opens a session, which must be of version 2. */
  static async open(address: string, options: AckedClientOptions = {}): Promise<AckedClient> {
    const { target = "", flag = 0, dialect = "goscon", window = 262_144, cacheSize = 2 ** 20, dial = tcp } = options;
    const ecdh = createECDH("prime256v1");
    const offer = { key: new Uint8Array(ecdh.generateKeys()), window };
    const hello = requestWithOffer({
      ...{ privateKey: 0x1234567890abcdefn, target, flag, dialect, offer, cacheSize },
    });
    const link = await dial(address);
    await writeAll(link, record(hello.content));
    const answer = await readRecord(link);
    assert(answer, "the proxy closed the connection without an answer");
    const { session, terms } = hello.finish(answer.content);
    assert(terms, `the answer is of version 1: ${JSON.stringify(answer.content)}`);
    const salt = createHash("sha256").update(saltInput(hello.content, answer.content)).digest();
    const key = new Uint8Array(hkdfSync("sha256", ecdh.computeSecret(terms.key), salt, KEY_INFO, 32));
    return new AckedClient(address, options, { session, terms, key, link, rest: answer.rest });
  }

  /** What came of the stream and was not given yet. */
  get received(): Uint8Array {
    return this.#buffer.subarray(this.#given, this.#filled);
  }

  get id(): number {
    return this.session.id;
  }

  sign(text: string): Uint8Array<ArrayBuffer> {
    return new Uint8Array(createHmac("sha256", this.key).update(text).digest());
  }

  /** Sends bytes of the stream, as there is room. */
  async send(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      const n = this.stream.write(bytes.slice(sent));
      sent += n;
      if (n === 0) await this.until(() => this.session.room > 0);
    }
  }

  /** The next bytes of the stream, just so many. */
  async receive(count: number): Promise<Uint8Array> {
    await this.until(() => this.received.length >= count);
    this.#given += count;
    return this.#buffer.slice(this.#given - count, this.#given);
  }

  /** All that comes until the proxy's direction ends. */
  async receiveToEnd(): Promise<Uint8Array> {
    await this.until(() => this.hasEnded);
    return this.received;
  }

  /** How the session ended. */
  async ending(): Promise<{ code: number; reason: string }> {
    await this.until(() => this.end !== undefined);
    return this.end!;
  }

  /** Waits until something has come that makes it so. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.wait();
  }

  /** The content of the next resume request, whose index is used up. */
  resumeContent(received = this.session.received): string {
    const index = this.session.nextIndex();
    return resumeContent(this.id, index, {
      value: received,
      mac: this.sign(resumeProofText(this.id, index, received)),
    });
  }

  /** Resumes over another connection: the answer must be authentic, and a 200. */
  async resume(): Promise<void> {
    this.stream.detach("replaced");
    const { link, answer, rest } = await this.ask(this.resumeContent());
    const proof = parseAnswerProof(answer);
    assert(proof && answer.split("\n")[1]?.startsWith("200"), `the answer is ${JSON.stringify(answer)}`);
    assert(timingSafeEqual(proof.mac, this.sign(resumedProofText(this.session.index, proof.value))), "a forged answer");
    this.link = link;
    this.stream.attach(flowOf(link), { first: new Uint8Array(0), received: proof.value, rest });
  }

  /** Asks to resume a session that has ended: how it did, by an authentic answer. */
  async askEnd(): Promise<number> {
    const { link, answer } = await this.ask(this.resumeContent());
    link.close();
    const proof = parseAnswerProof(answer);
    assert(proof && answer.split("\n")[1]?.startsWith("410"), `the answer is ${JSON.stringify(answer)}`);
    assert(timingSafeEqual(proof.mac, this.sign(goneProofText(this.session.index, proof.value))), "a forged answer");
    return proof.value;
  }

  /** Sends a record on a connection of its own; the connection, and the content of the record that answers. */
  async ask(content: string): Promise<{ link: Link; answer: string; rest: Uint8Array }> {
    if (this.dial === tcp) return await ask(this.address, content);
    const link = await this.dial(this.address);
    await writeAll(link, record(content));
    const answer = await readRecord(link);
    assert(answer, "the proxy closed the connection without an answer");
    return { link, answer: answer.content, rest: answer.rest };
  }

  /** Takes so many bytes more. */
  feed(appetite: number): void {
    this.appetite = appetite;
    this.stream.takeMore();
  }

  readonly take = (bytes: Uint8Array<ArrayBuffer>): number => {
    const n = Math.min(bytes.length, this.appetite);
    this.appetite -= n;
    if (this.#filled + n > this.#buffer.length) {
      this.#buffer = concat([this.#buffer, new Uint8Array(this.#buffer.length + n)]);
    }
    this.#buffer.set(bytes.subarray(0, n), this.#filled);
    this.#filled += n;
    return n;
  };

  ended(): boolean {
    this.hasEnded = true;
    return true;
  }

  changed(): void {
    this.#changed.notify();
  }

  lost(reason: string): void {
    this.losses.push(reason);
    this.#changed.notify();
  }

  closed(code: number, reason: string): void {
    this.end = { code, reason };
    this.#changed.notify();
  }

  failed(reason: string): void {
    throw new Error(`the proxy broke the protocol: ${reason}`);
  }

  moved(url: string): void {
    this.moves.push(url);
    this.#changed.notify();
  }

  [Symbol.dispose](): void {
    this.stream.abort();
  }
}
