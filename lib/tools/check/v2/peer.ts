import { type Link, reasonOf } from "../../../link/link.ts";
import type { ResumeKey } from "../../../proxy/session/v2/resume_key.ts";
import { Rc4, rc4Key } from "../../../scp/rc4.ts";
import { MOST_DATA } from "../../../scp/v2/frame.ts";
import { parseAnswerProof, resumeContent, resumedProofText, resumeProofText, type Terms } from "../../../scp/v2/mod.ts";
import { Broken, type Probe } from "../probe.ts";
import { bytes, expectSame } from "../rule.ts";
import { joined } from "../../../link/joined.ts";
import { dataFrame, finFrame } from "./frames.ts";
import { Line } from "./line.ts";

/** Milliseconds that what is said at once may take, beside a round trip. */
const AT_ONCE = 500;

/** What the handshake of a session gave. */
export interface Opened {
  id: number;
  secret: bigint;
  terms: Terms;
  key: ResumeKey;
  window: number;
  link: Link;
  /** Bytes of frames that came with the answer. */
  rest: Uint8Array;
}

/** A client of version 2 of which each frame is made by hand; it answers PINGs, and says nothing else by itself. */
export class Peer extends Line {
  readonly id: number;
  /** That of version 1. */
  readonly secret: bigint;
  readonly terms: Terms;
  readonly key: ResumeKey;
  readonly probe: Probe;
  /** The last index that was used. */
  index = 0;
  /** Bytes of the server's stream that were not taken by `receive`. */
  #stream: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** What was sent of the stream, as it goes over the wire; and whether it has ended. */
  #sealed: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #isFinished = false;
  #outgoing: Rc4 | undefined;
  #incoming: Rc4 | undefined;

  constructor(probe: Probe, { id, secret, terms, key, window, link, rest }: Opened) {
    super(link, window, (fresh) => this.#take(fresh));
    this.probe = probe;
    this.id = id;
    this.secret = secret;
    this.terms = terms;
    this.key = key;
    if (probe.dialect === "goscon") [this.#outgoing, this.#incoming] = Rc4.pair(rc4Key(secret));
    this.replace(link, rest);
  }

  /** Milliseconds that what is said at once may take to come. */
  async atOnce(): Promise<number> {
    return Math.round(await this.ping()) + AT_ONCE + this.probe.slack;
  }

  /** The next bytes of the stream in a DATA, which count as sent. */
  data(plain: Uint8Array): Uint8Array<ArrayBuffer> {
    const sealed = plain.slice();
    this.#outgoing?.xor(sealed);
    this.#sealed = joined(this.#sealed, sealed);
    this.heard.sent += sealed.length;
    return dataFrame(sealed);
  }

  /** The end of the stream, which counts as sent. */
  fin(): Uint8Array<ArrayBuffer> {
    this.#isFinished = true;
    this.heard.sent++;
    return finFrame();
  }

  /** How many positions the server's window has room for, as far as it has said. */
  get room(): number {
    return this.heard.acked + this.terms.window - this.heard.sent;
  }

  /** Sends bytes of the stream, as there is room for them. */
  async send(plain: Uint8Array): Promise<void> {
    for (let at = 0; at < plain.length;) {
      await this.until(() => this.room > 0, "an ACK");
      const end = at + Math.min(MOST_DATA, this.room);
      await this.write(this.data(plain.subarray(at, end)));
      at = end;
    }
  }

  /** The next bytes of the stream, just so many. */
  async receive(count: number): Promise<Uint8Array> {
    await this.until(() => this.#stream.length >= count, `byte ${count} of the stream`);
    const taken = this.#stream.slice(0, count);
    this.#stream = this.#stream.slice(count);
    return taken;
  }

  /** Expects that the stream goes on so. */
  async expect(sent: Uint8Array): Promise<void> {
    expectSame(await this.receive(sent.length), sent);
  }

  /** Sends bytes of the stream, no more than this window holds; expects them back, and acknowledges them. */
  async echo(sent = bytes(100)): Promise<void> {
    await this.send(sent);
    await this.expect(sent);
    await this.ack();
  }

  /** To the session only so much was received. What came after that is forgotten, and comes again, also what `receive` took of it. */
  forget(received: number): void {
    const { heard } = this;
    const lost = heard.received - received - (heard.hasEnded ? 1 : 0);
    this.#stream = this.#stream.slice(0, this.#stream.length - lost);
    heard.hasEnded = false;
    heard.received = received;
    if (!this.#incoming) return;
    [, this.#incoming] = Rc4.pair(rc4Key(this.secret));
    this.#incoming.xor(new Uint8Array(received));
  }

  /** The content of the record of a resume request, with the next index. */
  request({ received = this.heard.received, index = ++this.index } = {}): string {
    const mac = this.key.sign(resumeProofText(this.id, index, received));
    return resumeContent(this.id, index, { value: received, mac });
  }

  /** Resumes over another link; the old one is left as it is, and given. */
  async resume(): Promise<Link> {
    const former = this.link;
    await this.goOn(await this.probe.ask(this.request()));
    return former;
  }

  /** Goes on over the link of a resume that was answered so, which must be authentic; what the server lacks is sent. */
  async goOn({ link, answer, rest }: { link: Link; answer: string; rest: Uint8Array }): Promise<void> {
    const received = this.#authentic(answer);
    const { acked, sent } = this.heard;
    if (received < acked || received > sent) {
      throw new Broken(`the RECEIVED of the answer is ${received}, where ${acked} to ${sent} was expected`);
    }
    this.replace(link, rest);
    for (let at = received; at < this.#sealed.length; at += MOST_DATA) {
      await this.write(dataFrame(this.#sealed.subarray(at, at + MOST_DATA)));
    }
    if (this.#isFinished && received < sent) await this.write(finFrame());
  }

  /** The RECEIVED of an answer. Throws `Broken` unless it is a 200, and authentic. */
  #authentic(answer: string): number {
    const proof = proofIn(answer, 200);
    if (!this.key.verifies(resumedProofText(this.index, proof.value), proof.mac)) {
      throw new Broken("the HMAC of the answer to a resume is wrong");
    }
    const [first] = answer.split("\n");
    if (first === String(proof.value % 2 ** 32)) return proof.value;
    throw new Broken(`the first line of the answer is ${first}, where its RECEIVED is ${proof.value}`);
  }

  #take(fresh: Uint8Array<ArrayBuffer>): void {
    this.#incoming?.xor(fresh);
    this.#stream = joined(this.#stream, fresh);
  }
}

/** What an answer to a resume proves, which must have that code. Throws `Broken`. */
export function proofIn(answer: string, code: number): { value: number; mac: Uint8Array } {
  const got = answer.split("\n")[1]?.split(" ")[0];
  if (got !== String(code)) throw new Broken(`the answer's code is ${got}, where ${code} was expected`);
  try {
    const proof = parseAnswerProof(answer);
    if (proof) return proof;
  } catch (error) {
    throw new Broken(`the third line of the answer: ${reasonOf(error)}`);
  }
  throw new Broken(`the answer with ${code} has no third line`);
}
