import { FlowLink } from "../../lib/link/flow_link.ts";
import { lingeringClose, type Link, readRecord, writeAll } from "../../lib/link/link.ts";
import { pump } from "../../lib/link/relay.ts";
import { flowOf } from "../../lib/link/pumped_flow.ts";
import { ResumableStream } from "../../lib/link/resumable.ts";
import { sharedSecret } from "../../lib/scp/dh64.ts";
import {
  accept,
  type Code,
  type NewRequest,
  parseRequest,
  type ResumeRequest,
  ScpError,
  type Session,
} from "../../lib/scp/mod.ts";
import { Backend } from "./backend.ts";
import { Random } from "./random.ts";
import { record } from "./raw_client.ts";

const PRIVATE_KEY = 0x1234567890abcdefn;
const random = new Random();

/** What an SCP server does at each step. One that a test gives in place of a step is a fault. */
export const STEPS = {
  cacheSize: 2 ** 16,
  /** Each connection. */
  link: (link: Link): Link => link,
  newId: (): number => random.int(1, 2 ** 32 - 1),
  read: async (link: Link): Promise<{ content: string; rest: Uint8Array } | undefined> => await readRecord(link),
  parse: (content: string): NewRequest | ResumeRequest => parseRequest(content),
  /** Throws what it is refused with. */
  authorize: (session: Session, request: ResumeRequest, _secret: bigint): void => session.authorize(request),
  /** What is sent again. */
  missing: (session: Session, received: number): Uint8Array<ArrayBuffer>[] => session.missing(received),
  /** The content of the record that answers a resume, or refuses; `undefined`: it closes without. */
  answer: (received: number, code: Code): string | undefined => `${received}\n${code}`,
  /** What comes back of what came. */
  echo: (bytes: Uint8Array): Uint8Array => bytes,
  /** Whether a session is over once a resume of it was refused. */
  endsAfter: (code: Code): boolean => code === 406,
};

interface Entry {
  stream: ResumableStream;
  secret: bigint;
}

/** A server of the protocol, dialect goscon, that echoes; it has the faults that a test gives it. */
export class EchoServer implements AsyncDisposable {
  readonly #steps: typeof STEPS;
  readonly #backend = new Backend();
  readonly #entries = new Map<number, Entry>();

  constructor(faults: Partial<typeof STEPS> = {}) {
    this.#steps = { ...STEPS, ...faults };
    const accept = async () => {
      for (;;) void this.#serve(this.#steps.link(await this.#backend.accept()));
    };
    accept().catch(() => {}); // the listener was closed
  }

  get address(): string {
    return this.#backend.address;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stream } of this.#entries.values()) stream.close();
    await this.#backend[Symbol.asyncDispose]();
  }

  /** Never rejects. */
  async #serve(link: Link): Promise<void> {
    let request: NewRequest | ResumeRequest | undefined;
    try {
      const read = await this.#steps.read(link);
      if (!read) return link.close();
      request = this.#steps.parse(read.content);
      if (request.kind === "new") await this.#open(link, request, read.rest);
      else this.#resume(link, request, read.rest);
    } catch (error) {
      const code = error instanceof ScpError ? error.code : 501;
      if (request?.kind === "resume" && this.#steps.endsAfter(code)) this.#end(request.id);
      const answer = this.#steps.answer(0, code);
      if (answer !== undefined) await writeAll(link, record(answer)).catch(() => {});
      await lingeringClose(link);
    }
  }

  async #open(link: Link, request: NewRequest, rest: Uint8Array): Promise<void> {
    const { cacheSize } = this.#steps;
    const options = { id: this.#steps.newId(), privateKey: PRIVATE_KEY, dialect: "goscon" as const, cacheSize };
    const { session, answer } = accept(request, options);
    const stream = new ResumableStream(session, () => {});
    this.#entries.set(session.id, { stream, secret: sharedSecret(PRIVATE_KEY, request.key) });
    const echoing = new FlowLink(stream);
    stream.attach(flowOf(link), { first: [answer], from: 0, rest });
    await pump(echoing, (bytes) => echoing.write(this.#steps.echo(bytes)), cacheSize);
  }

  #resume(link: Link, request: ResumeRequest, rest: Uint8Array): void {
    const entry = this.#entries.get(request.id);
    if (!entry) throw new ScpError(404, "no such session");
    const { stream, secret } = entry;
    this.#steps.authorize(stream.session, request, secret);
    stream.detach("resumed");
    const missing = this.#steps.missing(stream.session, request.received);
    const answer = this.#steps.answer(stream.session.receivedOnWire, 200)!;
    stream.attach(flowOf(link), { first: [record(answer), ...missing], from: stream.session.sent, rest });
  }

  #end(id: number): void {
    this.#entries.get(id)?.stream.close();
    this.#entries.delete(id);
  }
}
