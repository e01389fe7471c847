import { type Link, writeAll } from "../link/link.ts";
import { encodeRecord, parseResumeAnswer, resumeRecord, type ResumeRequest, type Session } from "../scp/mod.ts";
import { answerOn, Broken, Probe, receive, send } from "./probe.ts";

/** A rule of the protocol, and how it is seen to hold against a server whose backend is an echo. */
export interface Rule {
  /** The section of lib/docs/protocol.md. */
  section: string;
  rule: string;
  /** Throws when it does not hold. */
  check: (probe: Probe) => Promise<void>;
}

/** A valid public key. */
const KEY = "782riWdFIwE=";
const LONG = 5000;

const bytes = (count: number, from = 0) =>
  Uint8Array.from({ length: count }, (_, i) => (from + i * 7 + (i >> 8)) & 255);

function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  const at = expected.findIndex((byte, i) => byte !== actual[i]);
  if (at >= 0) throw new Broken(`byte ${at} of the stream is ${actual[at]}, where ${expected[at]} was sent`);
}

async function echo(session: Session, link: Link, sent = bytes(100), rest?: Uint8Array<ArrayBuffer>): Promise<void> {
  await send(session, link, sent);
  expectSame(await receive(session, link, sent.length, rest), sent);
}

function expectCode(answer: string, code: number): void {
  const got = parseResumeAnswer(answer);
  if (got.code !== code) throw new Broken(`the answer's code is ${got.code}, where ${code} was expected`);
  if (code !== 200 && got.received !== 0) {
    throw new Broken(`the answer's received is ${got.received}, where 0 was expected`);
  }
}

async function expectRefusal(probe: Probe, content: string, code: number): Promise<void> {
  expectCode((await probe.ask(content)).answer, code);
}

/** What a resume request is answered with. */
async function answerTo(probe: Probe, request: ResumeRequest): Promise<string> {
  const link = await probe.connect();
  await writeAll(link, resumeRecord(request));
  return (await answerOn(link)).answer;
}

export const RULES: Rule[] = [
  {
    section: "New session",
    rule: "a request has 2, 3 or 4 lines, or more that are ignored",
    check: async (probe) => {
      for (const content of [`0\n${KEY}`, `0\n${KEY}\n`, `0\n${KEY}\n\n0`, `0\n${KEY}\n\n1\nmore`]) {
        const { answer } = await probe.ask(content);
        if (!/^[1-9]\d*\n[A-Za-z0-9+/]{11}=/.test(answer)) throw new Broken(`the answer is ${JSON.stringify(answer)}`);
      }
    },
  },
  {
    section: "New session",
    rule: "a request that comes byte by byte is understood",
    check: async (probe) => {
      const link = await probe.connect();
      for (const byte of encodeRecord(`0\n${KEY}\n\n0`)) await writeAll(link, Uint8Array.of(byte));
      await answerOn(link);
    },
  },
  {
    section: "Computations",
    rule: "the stream is carried both ways",
    check: async (probe) => {
      const { session, link } = await probe.open();
      for (const count of [1, 100, LONG]) await echo(session, link, bytes(count));
    },
  },
  {
    section: "Two dialects",
    rule: "the second line of a resume's answer is that of the dialect: 200, or 200 OK in plain",
    check: async (probe) => {
      const { session } = await probe.open();
      const [, line] = (await answerTo(probe, session.nextResume())).split("\n");
      const expected = probe.dialect === "plain" ? "200 OK" : "200";
      if (line !== expected) throw new Broken(`it is ${JSON.stringify(line)}, where ${expected} was expected`);
    },
  },
  {
    section: "Resume",
    rule: "what does not parse is answered with 400, received 0",
    check: async (probe) => {
      for (const content of ["hello", `0\n${KEY.slice(1)}`, "1\nx\n0\nAAAAAAAAAAA=", `0\n${KEY}\nwith-dash`]) {
        await expectRefusal(probe, content, 400);
      }
    },
  },
  {
    section: "Computations",
    rule: "a public key that is 0 mod p is refused with 400",
    check: (probe) => expectRefusal(probe, "0\nAAAAAAAAAAA=", 400),
  },
  {
    section: "Resume",
    rule: "an id that is no session's is answered with 404",
    check: (probe) => expectRefusal(probe, "4294967295\n1\n0\nAAAAAAAAAAA=", 404),
  },
  {
    section: "Resume",
    rule: "a resume goes on where each side stopped, and the missed bytes are sent again",
    check: async (probe) => {
      const { session, link } = await probe.open();
      await send(session, link, bytes(LONG));
      await receive(session, link, 10);
      link.close();
      const resumed = await probe.resume(session);
      const rest = resumed.rest as Uint8Array<ArrayBuffer>;
      expectSame(await receive(session, resumed.link, LONG - 10, rest), bytes(LONG).subarray(10));
      await echo(session, resumed.link, bytes(100, 3));
    },
  },
  {
    section: "What a correct proxy must get right, 1",
    rule: "a resume takes the place of a connection that is open, and no byte is lost or doubled",
    check: async (probe) => {
      const { session, link } = await probe.open();
      let rest: Uint8Array<ArrayBuffer> | undefined;
      let now = link;
      for (let round = 0; round < 5; round++) {
        await send(session, now, bytes(LONG, round));
        const resumed = await probe.resume(session);
        [now, rest] = [resumed.link, resumed.rest as Uint8Array<ArrayBuffer>];
        expectSame(await receive(session, now, LONG, rest), bytes(LONG, round));
      }
    },
  },
  {
    section: "Resume",
    rule: "a wrong hmac is refused with 401, and the session goes on",
    check: async (probe) => {
      const { session, link } = await probe.open();
      const request = session.nextResume();
      expectCode(await answerTo(probe, { ...request, hmac: request.hmac ^ 1n }), 401);
      await echo(session, link);
    },
  },
  {
    section: "Resume",
    rule: "an index that was used is refused with 403, and the session goes on; gaps are fine",
    check: async (probe) => {
      const { session } = await probe.open();
      for (let i = 0; i < 5; i++) session.nextResume();
      const request = session.nextResume();
      const link = await probe.connect();
      await writeAll(link, resumeRecord(request));
      expectCode((await answerOn(link)).answer, 200);
      expectCode(await answerTo(probe, request), 403);
      await echo(session, link);
    },
  },
  {
    section: "Resume",
    rule: "a peer that claims more than was sent is refused with 406, and the session ends",
    check: async (probe) => {
      const { session, link } = await probe.open();
      await echo(session, link);
      session.open(new Uint8Array(1000));
      expectCode(await answerTo(probe, session.nextResume()), 406);
      expectCode(await answerTo(probe, session.nextResume()), 404);
    },
  },
  {
    section: "What a correct proxy must get right, 7",
    rule: "ids are not to be guessed in sequence",
    check: async (probe) => {
      const ids: number[] = [];
      for (let i = 0; i < 4; i++) ids.push((await probe.open()).session.id);
      const steps = ids.slice(1).map((id, i) => Math.abs(id - ids[i]!));
      if (steps.every((step) => step < 1000)) throw new Broken(`four in a row are ${ids.join(", ")}`);
    },
  },
  {
    section: "What a correct proxy must get right, 8",
    rule: "a record longer than a handshake can be is refused at its length",
    check: async (probe) => {
      const link = await probe.connect();
      await writeAll(link, Uint8Array.of(0xff, 0xff));
      expectCode((await answerOn(link)).answer, 400);
    },
  },
];
