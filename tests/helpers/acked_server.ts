import assert from "node:assert/strict";
import { createECDH, createHash, createHmac, hkdfSync } from "node:crypto";
import { AckedStream, type StreamUser } from "../../lib/link/acked_stream.ts";
import { flowOf } from "../../lib/link/pumped_flow.ts";
import { lingeringClose, type Link, readRecord, writeAll } from "../../lib/link/link.ts";
import { type Dialect, type NewRequest, parseRequest, type ResumeRequest, ScpError } from "../../lib/scp/mod.ts";
import {
  acceptOffer,
  goneContent,
  parseOffer,
  parseResumeProof,
  resumedContent,
  type Terms,
} from "../../lib/scp/v2/mod.ts";
import { Backend } from "./backend.ts";
import { concat } from "./bytes.ts";
import { record } from "./raw_client.ts";
import { until } from "./turns.ts";

const PRIVATE_KEY = 0x1234567890abcdefn;
/** It looks after no link: its tests do. */
const LIVENESS = { pingInterval: 0, pingTimeout: Infinity };

/** What is done with a request to resume; a function: to the content of the answer, which is sent then. */
export type ResumeStep =
  | "serve" // as it should be
  | "drop" // closed, as if it had never come
  | "lose" // taken, but the answer is lost
  | "silence" // neither taken nor answered
  | number // refused with that code
  | ((answer: string) => string);

export interface AckedServerOptions extends Partial<Omit<Terms, "key">> {
  dialect?: Dialect;
  cacheSize?: number;
  /** Sends back what comes, and ends its direction when the client does. */
  echo?: boolean;
  /** What is done with each resume, from the first on; without one left: it is served. */
  steps?: ResumeStep[];
  /** Makes what it likes of the answer to a new session. */
  answer?: (content: string) => string;
}

/** The server's end of a session of version 2, in the hands of a test. */
export class ServerEnd implements StreamUser {
  readonly stream: AckedStream;
  readonly key: Uint8Array;
  /** Whether it takes what comes. */
  isTaking = true;
  isEnded = false;
  /** How the client ended the session, if it did. */
  closedWith: number | undefined;
  /** How the session has ended. */
  end: number | undefined;
  readonly losses: string[] = [];
  readonly #chunks: Uint8Array[] = [];
  readonly #echo: boolean;

  constructor(session: AckedStream["session"], key: Uint8Array, echo: boolean) {
    this.stream = new AckedStream(session, this, { liveness: LIVENESS, soon: queueMicrotask });
    this.key = key;
    this.#echo = echo;
  }

  /** What it has taken so far. */
  get received(): Uint8Array {
    return concat(this.#chunks);
  }

  /** Sends these bytes, for which there must be room. */
  write(bytes: Uint8Array): void {
    assert.equal(this.stream.write(bytes.slice()), bytes.length, "there is no room for that");
  }

  /** Takes what waits, and acknowledges it. */
  takeMore(): void {
    this.isTaking = true;
    this.stream.session.sayAck();
    this.stream.takeMore();
  }

  close(code: number, reason = ""): void {
    this.end = code;
    this.stream.close(code, reason);
  }

  readonly take = (bytes: Uint8Array<ArrayBuffer>): number => {
    if (!this.isTaking) return 0;
    const { session } = this.stream;
    const part = this.#echo ? bytes.slice(0, session.room) : bytes.slice();
    this.#chunks.push(part.slice());
    session.sayAck();
    if (this.#echo) this.stream.write(part);
    return part.length;
  };

  ended(): boolean {
    this.isEnded = true;
    if (this.#echo) this.stream.finish();
    return true;
  }

  changed(): void {
    const { room, waiting, isSentDone, isReceivedDone } = this.stream.session;
    if (this.#echo && room > 0 && waiting > 0) this.stream.takeMore();
    if (isSentDone && isReceivedDone && this.end === undefined) this.close(0);
  }

  lost(reason: string): void {
    this.losses.push(reason);
  }

  closed(code: number): void {
    this.end = this.closedWith = code;
  }

  failed(reason: string): void {
    assert.fail(`the client broke the protocol: ${reason}`);
  }

  moved(): void {
    assert.fail("a client cannot say MOVE");
  }
}

/** A server of version 2 whose every answer is the test's. Its keys and HMACs are those of Node. */
export class AckedServer implements AsyncDisposable {
  readonly options: AckedServerOptions;
  readonly ends: ServerEnd[] = [];
  /** The contents of the requests so far: of new sessions, and of resumes. */
  readonly requests: string[] = [];
  readonly resumes: string[] = [];
  readonly #backend = new Backend();
  readonly #silent: Link[] = [];
  /** What a client did that it may not. */
  readonly #faults: unknown[] = [];

  constructor(options: AckedServerOptions = {}) {
    this.options = options;
    const accept = async () => {
      for (;;) this.#serve(await this.#backend.accept()).catch((error) => this.#faults.push(error));
    };
    accept().catch(() => {}); // the listener was closed
  }

  get address(): string {
    return this.#backend.address;
  }

  /** The end of the first session, once that is there. */
  async end(): Promise<ServerEnd> {
    await until(() => this.ends.length > 0, () => "no session was opened");
    return this.ends[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stream } of this.ends) stream.abort();
    for (const link of this.#silent) link.close();
    await this.#backend[Symbol.asyncDispose]();
    assert.deepEqual(this.#faults, []);
  }

  async #serve(link: Link): Promise<void> {
    const read = await readRecord(link).catch(() => undefined);
    if (!read) return link.close();
    const request = parseRequest(read.content);
    if (request.kind === "new") return this.#open(link, read, request);
    try {
      await this.#resume(link, read, request);
    } catch (error) {
      if (!(error instanceof ScpError)) throw error;
      await this.#refuse(link, `0\n${error.code}`);
    }
  }

  #open(link: Link, { content, rest }: { content: string; rest: Uint8Array }, request: NewRequest): void {
    assert.equal(rest.length, 0, "the client sent something before the answer");
    this.requests.push(content);
    const { dialect = "goscon", cacheSize = 2 ** 20, echo = false, window = 65_536, ping = 0, reuse = 60_000 } =
      this.options;
    const offer = parseOffer(content, request.flag);
    assert(offer, "the client does not offer version 2");
    const ecdh = createECDH("prime256v1");
    const terms = { key: new Uint8Array(ecdh.generateKeys()), window, ping, reuse };
    const id = 1000 + this.ends.length;
    const accepted = acceptOffer(request, offer, { id, privateKey: PRIVATE_KEY, dialect, cacheSize, terms });
    const answer = this.options.answer?.(accepted.answer) ?? accepted.answer;
    const salt = createHash("sha256").update(record(content)).update(record(answer)).digest();
    const key = hkdfSync("sha256", ecdh.computeSecret(offer.key), salt, "SCP/2 resume", 32);
    const end = new ServerEnd(accepted.session, new Uint8Array(key), echo);
    end.stream.attach(flowOf(link), { first: record(answer), received: 0, rest });
    this.ends.push(end);
  }

  async #resume(link: Link, read: { content: string; rest: Uint8Array }, request: ResumeRequest): Promise<void> {
    this.resumes.push(read.content);
    const step = this.options.steps?.shift() ?? "serve";
    if (step === "silence") return void this.#silent.push(link);
    if (step === "drop") return link.close();
    if (typeof step === "number") return await this.#refuse(link, `0\n${step}`);
    const end = this.ends[request.id - 1000];
    assert(end, "no such session");
    const { session } = end.stream;
    const proof = parseResumeProof(read.content, request.received);
    const expected = mac(end.key, `resume\n${request.id}\n${request.index}\n${proof.value}\n`);
    assert.deepEqual(proof.mac, expected, "the client's HMAC is wrong");
    const dialect = this.options.dialect ?? "goscon";
    const altered = (content: string) => typeof step === "function" ? step(content) : content;
    if (end.end !== undefined) {
      const gone = { value: end.end, mac: mac(end.key, `gone\n${request.index}\n410\n${end.end}\n`) };
      return await this.#refuse(link, altered(goneContent(dialect, gone)));
    }
    session.useIndex(request.index);
    session.assertPosition(proof.value);
    end.stream.detach("resumed");
    const value = session.received;
    const content = resumedContent(dialect, { value, mac: mac(end.key, `resumed\n${request.index}\n200\n${value}\n`) });
    if (step === "lose") return link.close();
    const first = record(altered(content));
    end.stream.attach(flowOf(link), { first, received: proof.value, rest: read.rest });
  }

  async #refuse(link: Link, content: string): Promise<void> {
    await writeAll(link, record(content)).catch(() => {}); // it is gone
    await lingeringClose(link);
  }
}

function mac(key: Uint8Array, text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHmac("sha256", key).update(text).digest());
}
