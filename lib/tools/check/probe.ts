import { type Link, readRecord, writeAll } from "../../link/link.ts";
import {
  type Dialect,
  encodeRecord,
  parseResumeAnswer,
  request,
  resumeRecord,
  type ResumeRequest,
  type Session,
} from "../../scp/mod.ts";
import type { Dial } from "../../client/dialers.ts";
import { randomKey } from "../../client/exchange.ts";

/** What a rule finds not to hold: said in one line. */
export class Broken extends Error {}

/** A client of which each step is made by hand, to see what a server does. Every connection is closed in the end. */
export class Probe implements Disposable {
  readonly #dial: Dial;
  readonly #closing = new AbortController();
  readonly dialect: Dialect;
  /** Milliseconds more that what has its time is given. */
  readonly slack: number;
  readonly #links: Link[] = [];

  constructor(dial: Dial, dialect: Dialect, slack = 0) {
    this.#dial = dial;
    this.dialect = dialect;
    this.slack = slack;
  }

  /** Opens a connection. */
  async connect(): Promise<Link> {
    const link = await this.#dial(this.#closing.signal);
    this.#links.push(link);
    return link;
  }

  /** Sends a record of that content, and gives the one that answers, with the connection. */
  async ask(content: string): Promise<{ link: Link; answer: string; rest: Uint8Array }> {
    const link = await this.connect();
    await writeAll(link, encodeRecord(content));
    return { link, ...await answerOn(link) };
  }

  /** Opens a session. `extra`: bytes of the stream that are sent with the request. */
  async open(
    extra?: (session: Session) => Uint8Array,
  ): Promise<{ session: Session; link: Link; rest: Uint8Array }> {
    const link = await this.connect();
    const options = { privateKey: randomKey(), target: "", flag: 0, dialect: this.dialect, cacheSize: 2 ** 20 };
    const hello = request(options);
    await writeAll(link, hello.record);
    const { answer, rest } = await answerOn(link);
    const session = hello.finish(answer);
    if (extra) await writeAll(link, extra(session));
    return { session, link, rest };
  }

  /** Asks to resume over another connection. Gives the answer, with the connection. */
  async request(request: ResumeRequest): Promise<{ link: Link; answer: string; rest: Uint8Array }> {
    const link = await this.connect();
    await writeAll(link, resumeRecord(request));
    return { link, ...await answerOn(link) };
  }

  /** Resumes over another connection; what the server lacks is sent. Gives it, and how many bytes the server has. */
  async resume(session: Session): Promise<{ link: Link; received: number; rest: Uint8Array }> {
    const { link, answer, rest } = await this.request(session.nextResume());
    const { code, received } = parseResumeAnswer(answer);
    if (code !== 200) throw new Broken(`a resume was answered with ${code}, where 200 was expected`);
    for (const bytes of session.missing(received)) await writeAll(link, bytes);
    return { link, received, rest };
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    for (const link of this.#links) link.close();
  }
}

/** Reads the record that answers. Throws `Broken` when the connection is closed before. */
export async function answerOn(link: Link): Promise<{ answer: string; rest: Uint8Array }> {
  const record = await readRecord(link);
  if (!record) throw new Broken("the connection was closed without an answer");
  return { answer: record.content, rest: record.rest };
}

/** Sends bytes of the stream. */
export async function send(session: Session, link: Link, bytes: Uint8Array): Promise<void> {
  const sealed = bytes.slice();
  session.seal(sealed);
  await writeAll(link, sealed);
}

/** Receives just so many bytes of the stream, of which `rest` came already. */
export async function receive(
  session: Session,
  link: Link,
  count: number,
  rest: Uint8Array = new Uint8Array(0),
): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  bytes.set(rest.subarray(0, count));
  for (let filled = Math.min(rest.length, count); filled < count;) {
    const n = await link.read(bytes.subarray(filled));
    if (n === null) throw new Broken(`the stream ended after ${filled} of ${count} bytes`);
    filled += n;
  }
  session.open(bytes);
  return bytes;
}

/** Receives just so many bytes and forgets them: to the session they never came. */
export async function skip(link: Link, count: number): Promise<void> {
  const buffer = new Uint8Array(2 ** 16);
  for (let left = count; left > 0;) {
    const n = await link.read(buffer.subarray(0, left));
    if (n === null) throw new Broken(`the stream ended ${left} bytes early`);
    left -= n;
  }
}
