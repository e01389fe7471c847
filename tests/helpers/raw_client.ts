import assert from "node:assert/strict";
import { type Link, readRecord, writeAll } from "../../lib/link/link.ts";
import { TcpLink } from "../../lib/link/tcp.ts";
import { type Dialect, request, type Session } from "../../lib/scp/mod.ts";
import { type Backend, readExactly, readToEnd } from "./backend.ts";
import { assertSameBytes } from "./bytes.ts";
import { pattern } from "./random.ts";

/** Opens a TCP connection to `host:port`. */
export async function tcp(address: string): Promise<TcpLink> {
  const at = address.lastIndexOf(":");
  const conn = await Deno.connect({ hostname: address.slice(0, at), port: Number(address.slice(at + 1)) });
  return new TcpLink(conn, { keepAlive: false });
}

/** The two ends of a TCP connection. */
export async function pair(backend: Backend): Promise<[near: TcpLink, far: TcpLink]> {
  return await Promise.all([tcp(backend.address), backend.accept()]);
}

/** The bytes of a record, whatever its content. */
export function record(content: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(content);
  return Uint8Array.from([bytes.length >> 8, bytes.length & 255, ...bytes]);
}

/** Sends a record on a connection of its own; the connection, and the content of the record that answers. */
export async function ask(
  address: string,
  content: string,
): Promise<{ link: TcpLink; answer: string; rest: Uint8Array }> {
  const link = await tcp(address);
  try {
    await writeAll(link, record(content));
    const answer = await readRecord(link);
    assert(answer, "the proxy closed the connection without an answer");
    return { link, answer: answer.content, rest: answer.rest };
  } catch (error) {
    link.close();
    throw error;
  }
}

/** A client made by hand, one step at a time: it resumes only when the test says so. Dialect goscon unless said. */
export class RawClient implements Disposable {
  readonly session: Session;
  address: string;
  link: Link;
  readonly #former: Link[] = [];

  constructor(address: string, session: Session, link: Link) {
    this.address = address;
    this.session = session;
    this.link = link;
  }

  /** Opens a session. */
  static async open(
    address: string,
    { target = "", flag = 0, dialect = "goscon" as const, privateKey = 0x1234567890abcdefn, cacheSize = 2 ** 20 }: {
      target?: string;
      flag?: number;
      dialect?: "goscon" | "plain";
      privateKey?: bigint;
      cacheSize?: number;
    } = {},
  ): Promise<RawClient> {
    const hello = request({ privateKey, target, flag, dialect, cacheSize });
    const link = await tcp(address);
    await writeAll(link, hello.record);
    const answer = await readRecord(link);
    assert(answer, "the proxy closed the connection without an answer");
    assert.equal(answer.rest.length, 0, "bytes of the stream before anything was asked");
    return new RawClient(address, hello.finish(answer.content), link);
  }

  get id(): number {
    return this.session.id;
  }

  /** Sends bytes of the stream. */
  async send(bytes: Uint8Array): Promise<void> {
    const sealed = bytes.slice();
    this.session.seal(sealed);
    await writeAll(this.link, sealed);
  }

  /** Receives just so many bytes of the stream. */
  async receive(count: number): Promise<Uint8Array> {
    const bytes = await readExactly(this.link, count);
    this.session.open(bytes);
    return bytes;
  }

  /** Receives until the link ends. */
  async receiveToEnd(): Promise<Uint8Array> {
    const bytes = await readToEnd(this.link);
    this.session.open(bytes);
    return bytes;
  }

  /** The content of the next resume request, whose index is used up. */
  resumeContent(): string {
    const { id, index, received, hmac } = this.session.nextResume();
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setBigUint64(0, hmac, true);
    return `${id}\n${index}\n${received}\n${btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)))}`;
  }

  /** Resumes over a new connection; the old one is left as it is until the end. The answer, which must be a 200. */
  async resume(): Promise<void> {
    const { link, answer, rest } = await ask(this.address, this.resumeContent());
    const [received, code] = answer.split("\n");
    this.#former.push(link);
    assert.match(code ?? "", /^200/, `the answer is ${JSON.stringify(answer)}`);
    this.#former.push(this.link);
    this.link = withFirst(link, rest);
    for (const chunk of this.session.missing(Number(received))) await writeAll(link, chunk);
  }

  [Symbol.dispose](): void {
    for (const link of [this.link, ...this.#former]) link.close();
  }
}

/** A link that gives `first` before what comes over it. */
function withFirst(link: Link, first: Uint8Array): Link {
  let rest = first;
  return {
    read: (buffer) => {
      if (rest.length === 0) return link.read(buffer);
      const part = rest.subarray(0, buffer.length);
      buffer.set(part);
      rest = rest.subarray(part.length);
      return Promise.resolve(part.length);
    },
    write: (bytes) => link.write(bytes),
    closeWrite: () => link.closeWrite(),
    close: () => link.close(),
  };
}

/** Opens a session over a connection, whatever carries it; `resumeOver` goes on with it. */
export async function openOver(
  link: Link,
  { dialect = "goscon" as Dialect, target = "" } = {},
): Promise<RawClient> {
  const hello = request({ privateKey: 0x1234567890abcdefn, target, flag: 0, dialect, cacheSize: 2 ** 24 });
  await writeAll(link, hello.record);
  return new RawClient("", hello.finish(await answerOn(link)), link);
}

/** Resumes over another connection; the old one is left open, and given. */
export async function resumeOver(client: RawClient, link: Link): Promise<Link> {
  await writeAll(link, record(client.resumeContent()));
  const [received, code] = (await answerOn(link)).split("\n");
  assert.equal(code, client.session.dialect === "plain" ? "200 OK" : "200");
  const former = client.link;
  client.link = link;
  for (const chunk of client.session.missing(Number(received))) await writeAll(link, chunk.slice());
  return former;
}

/** Resumes over other links in turn, with bytes under way both ways each time, and checks that every byte comes. */
export async function resumeWithBytesUnderWay(
  client: RawClient,
  far: Link,
  links: (() => Promise<Link>)[],
): Promise<void> {
  for (const [round, open] of links.entries()) {
    const at = round * 20_000;
    // The client takes but half of what it is sent, and sends what the proxy may not have read.
    await writeAll(far, pattern(at, 20_000, 1));
    assertSameBytes(await client.receive(10_000), pattern(at, 10_000, 1));
    await client.send(pattern(at, 20_000, 2));
    (await resumeOver(client, await open())).close();
    assertSameBytes(await client.receive(10_000), pattern(at + 10_000, 10_000, 1));
    assertSameBytes(await readExactly(far, 20_000), pattern(at, 20_000, 2));
  }
}

/** Reads the record that answers, and not a byte more. */
export async function answerOn(link: Link): Promise<string> {
  const [high = 0, low = 0] = await readExactly(link, 2);
  return new TextDecoder().decode(await readExactly(link, high << 8 | low));
}
