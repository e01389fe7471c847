import assert from "node:assert/strict";
import { check, type Outcome } from "../../../lib/tools/check/check.ts";
import { hashkey, hmac64, hmac64Md5, parseRequest, type ResumeRequest, ScpError } from "../../../lib/scp/mod.ts";
import { resumeText } from "../../../lib/scp/message.ts";
import { EchoServer, type STEPS } from "../../helpers/echo_server.ts";

/** The rules that a server with these faults does not keep, each with the reason. */
async function brokenBy(faults: Partial<typeof STEPS>): Promise<string[]> {
  await using server = new EchoServer(faults);
  const outcomes: Outcome[] = [];
  const tell = (outcome: Outcome) => outcomes.push(outcome);
  const all = await check(server.address, { dialect: "goscon", version: 1, tell, note: assert.fail });
  const broken = outcomes.filter(({ reason }) => reason !== undefined);
  assert.equal(all, broken.length === 0);
  return broken.map(({ rule, reason }) => `${rule}: ${reason}`);
}

/** The hmac of a request, by one of the two computations. */
function hmacOf(request: ResumeRequest, secret: bigint, compute = hmac64Md5): bigint {
  return compute(hashkey(new TextEncoder().encode(resumeText(request))), secret);
}

function takes(...computations: (typeof hmac64)[]): typeof STEPS.authorize {
  return (session, request, secret) => {
    if (computations.some((compute) => hmacOf(request, secret, compute) === request.hmac)) session.authorize(request);
    else throw new ScpError(401, "the hmac is wrong");
  };
}

Deno.test("a server without a fault keeps every rule", async () => {
  assert.deepEqual(await brokenBy({}), []);
});

Deno.test("of a server that does not speak version 2 that is noted, with the reason; where it is asked for, it is broken", async () => {
  const refuse = (content: string) => {
    if (content.split("\n")[3] === "2") throw new ScpError(400, "an offer");
    return parseRequest(content);
  };
  for (const [faults, said] of [[{}, /^the offer was ignored$/], [{ parse: refuse }, /with "0\\n400"$/]] as const) {
    await using server = new EchoServer(faults);
    const [notes, reasons]: string[][] = [[], []];
    const options = {
      dialect: "goscon",
      tell: ({ reason }: Outcome) => void (reason !== undefined && reasons!.push(reason)),
      note: (text: string) => void notes!.push(text.replace(/^version 2 is not spoken: /, "")),
    } as const;
    assert.equal(await check(server.address, options), true);
    assert.equal(await check(server.address, { ...options, version: 2 }), false);
    assert.equal(await check(server.address, { ...options, version: 1 }), true);
    assert.equal(notes!.length, 1);
    assert.match(notes![0]!, said);
    assert.deepEqual(reasons, notes);
  }
});

let lastId = 0;

/** What is wrong with a server, the fault, and what is said of the rules that it does not keep, in their order. */
const FAULTS: [name: string, fault: Partial<typeof STEPS>, ...said: RegExp[]][] = [
  ["takes 4 lines at the most", {
    parse: (content) => {
      if (content.split("\n").length > 4) throw new ScpError(400, "too many lines");
      return parseRequest(content);
    },
  }, /^a request has 2, 3 or 4 lines, or more .*: the answer is "0\\n400"/],
  ["changes a byte of the stream", {
    echo: (bytes) => bytes.map((byte) => byte === 24 ? 25 : byte),
  }, ...Array(6).fill(/: byte \d+ of the stream is 25, where 24 was sent$/)],
  ["gives ids in sequence", { newId: () => ++lastId }, /^ids are not to be guessed in sequence: four in a row are/],
  [
    "closes without an answer to what does not parse",
    {
      answer: (received, code) => code === 400 ? undefined : `${received}\n${code}`,
    },
    /^what does not parse/,
    /^a public key that is 0/,
    /^a record longer than .*: the connection was closed without/,
  ],
  ["answers as dialect plain does", { answer: (received, code) => `${received}\n${code} OK` }, /^the second line of/],
  ["tells what it received though it refuses", {
    answer: (received, code) => `${code === 200 ? received : 7}\n${code}`,
  }, ...Array(8).fill(/: the answer's received is 7, where 0 was expected$/)],
  [
    "sends other bytes again",
    {
      missing: (session, received) => session.missing(received).map((bytes) => bytes.map((byte) => byte ^ 1)),
    },
    /^a resume goes on where each side stopped.*: byte \d+ of/,
    /^a resume takes the place of .*: byte \d+ of/,
  ],
  ["takes any hmac", {
    authorize: (session, request, secret) => session.authorize({ ...request, hmac: hmacOf(request, secret) }),
  }, /^a wrong hmac is refused with 401.*: the answer's code is 200, where 401 was expected$/],
  [
    "ends a session for a wrong hmac",
    { endsAfter: (code) => code === 401 || code === 406 },
    /^a wrong hmac .*: the str/,
  ],
  [
    "takes the newer hmac alone",
    { authorize: takes(hmac64Md5) },
    /^either hmac .*: one with hmac64 was answered with 401/,
  ],
  [
    "takes the older hmac alone",
    { authorize: takes(hmac64) },
    ...Array(8).fill(/ 401, where \d+ was expected$|it is "401"/),
  ],
  ["says good-bye over the old connection", {
    link: (link) => ({
      read: (buffer) => link.read(buffer),
      write: (bytes) => link.write(bytes),
      closeWrite: () => link.closeWrite(),
      close: () => void link.write(new Uint8Array(1)).catch(() => {}).finally(() => link.close()),
    }),
  }, /^the connection that a resume took .*: a byte of the stream came over it$/],
  ["takes an index twice", {
    authorize: (session, request) => {
      try {
        session.authorize(request);
      } catch (error) {
        if ((error as ScpError).code !== 403) throw error;
      }
    },
  }, /^an index that was used .*: the answer's code is 200, where 403 was expected$/],
  ["takes any claim", {
    missing: (session, received) => received > session.sent ? [] : session.missing(received),
  }, /^a peer that claims more than was sent .*: the answer's code is 200, where 406 was expected$/],
  ["keeps a session though what is missing is lost", {
    endsAfter: () => false,
  }, ...Array(2).fill(/^a peer that .*: the answer's code is 406, where 404 was expected$/)],
  [
    "keeps all that it sent",
    { cacheSize: 2 ** 26 },
    /^a peer that lacks more .*: all of 16777216 bytes were sent again/,
  ],
  ["has another word for what is missing and lost", {
    missing: (session, received) => {
      if (session.sent - received > 2 ** 16) throw new ScpError(501, "it is too much");
      return session.missing(received);
    },
  }, /^a peer that lacks more .*: the answer's code is 501, where 406 was expected$/],
];

for (const [name, fault, ...said] of FAULTS) {
  Deno.test(`check() tells which rules are broken by a server that ${name}`, async () => {
    const broken = await brokenBy(fault);
    assert.equal(broken.length, said.length, broken.join("\n"));
    for (const [i, line] of broken.entries()) assert.match(line, said[i]!);
  });
}
