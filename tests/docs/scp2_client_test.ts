import assert from "node:assert/strict";
import { join } from "node:path";
import { HAS_PYTHON } from "../helpers/programs.ts";
import vectors from "../testdata/scp2_vectors.json" with { type: "json" };

const ROOT = join(import.meta.dirname!, "..", "..");
const CHILD = join(ROOT, "tests", "helpers", "scp2_client_child.py");

/** A refusal of version 1; then answers of version 2 with a fault each. */
const BAD_ANSWERS = ((good: string) => [
  "0\n400 Malformed Request",
  good.split("\n").slice(0, 2).join("\n"),
  good.replace("\n2 ", "\n3 "),
  good.replace("262144", "4095"),
  good.replace("262144", "16777217"),
  good.replace("EoU=", "EoY="),
])(vectors.new_answer_content);

/** Answers to the first resume, or to another, which are not the server's to that. */
const FORGED: [string, number][] = [
  ["0\n404 User Not Found", 1],
  ["1\n200", 1],
  [vectors.resumed.answer_content.replace("8589934593", "8589934592"), 1],
  [vectors.resumed.answer_content, 2],
  [vectors.gone.answer_content.replace("2 0 ", "2 3 "), 1],
  [vectors.gone.answer_content.replace("410", "200"), 1],
];

const FRAMES = Object.fromEntries(vectors.frames.map(([name, hex]) => [name!.split(" ")[0], hex!]));
/** How often the same ACK is said again is not looked at: it is taken out of what was said. */
const SAME_ACK = "02fffffff9";
const TWELVE = "01000c7477656c7665206279746573";
const NOTHING = {
  buffer: "",
  received: 0,
  acked: 0,
  unacked: "twelve bytes",
  said: TWELVE,
  fin: false,
  end: null,
};
const FAULT = (what: string) => ({ ...NOTHING, said: TWELVE + "06000400", end: ["Broken", "4", what] });
const MOVED = { ...NOTHING, end: ["ConnectionError", "the server wants another connection"] };

/** What comes byte by byte after a resume at which twelve bytes were sent again, and what becomes of it. */
const STREAMS: [string, Record<string, unknown>][] = [
  [FRAMES.DATA + FRAMES.type + FRAMES.FIN, { ...NOTHING, buffer: "hello", received: 6, fin: true }],
  ["010005" + "6865", NOTHING],
  [FRAMES.ACK + FRAMES.ACK, { ...NOTHING, acked: 12, unacked: "" }],
  [FRAMES.PING + FRAMES.PONG, { ...NOTHING, said: TWELVE + "0400000007" }],
  [FRAMES.MOVE!, MOVED],
  ["0700", MOVED],
  [FRAMES.DATA + FRAMES.CLOSE!, {
    ...NOTHING,
    buffer: "hello",
    received: 5,
    end: ["Ended", "3", "ended by an operator"],
  }],
  ["00", FAULT("a frame of type 0")],
  ["7f", FAULT("a frame of type 127")],
  ["010000", FAULT("DATA or FIN")],
  ["0200000006", FAULT("ACK of what was never sent")],
  ["02fffffff8", FAULT("ACK of what was never sent")],
  [FRAMES.DATA!.repeat(3) + "010002", { ...FAULT("DATA or FIN"), buffer: "hello".repeat(3), received: 15 }],
  [FRAMES.DATA!.repeat(3) + "01000121" + FRAMES.FIN, {
    ...FAULT("DATA or FIN"),
    buffer: "hello".repeat(3) + "!",
    received: 16,
  }],
  ["0505", { ...FAULT("DATA or FIN"), received: 1, fin: true }],
  ["05010001", { ...FAULT("DATA or FIN"), received: 1, fin: true }],
];

interface Resumed {
  request: string;
  end: string[] | null;
  sent: string;
  live: boolean;
}

interface Said {
  request: string;
  key: string;
  refusals: (string[] | null)[];
  resumed: Resumed;
  gone: Resumed;
  forged: Resumed[];
  encoded: string;
  decoded: { said: string }[];
}

/** What the example makes of the vectors and of what is above. */
async function ask(): Promise<Said> {
  const args = ["-B", CHILD, join(ROOT, "lib", "docs")];
  const child = new Deno.Command("python3", { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
  const streams = STREAMS.map(([hex]) => hex);
  const asked = JSON.stringify({ ...vectors, bad_answers: BAD_ANSWERS, forged: FORGED, streams });
  const [{ code, stdout }] = await Promise.all([child.output(), new Blob([asked]).stream().pipeTo(child.stdin)]);
  assert.equal(code, 0);
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test({ name: "the example client in Python agrees with the golden values", ignore: !HAS_PYTHON }, async (t) => {
  const said = await ask();
  await t.step("a new session", () => {
    assert.equal(said.request, vectors.new_request_content);
    assert.equal(said.key, vectors.resume_key);
  });
  await t.step("answers that are none of version 2 are refused", () => {
    assert.deepEqual(said.refusals.map((refusal) => refusal?.[0]), BAD_ANSWERS.map(() => "ConnectionError"));
    assert.match(said.refusals[1]![1]!, /version 1 only/);
  });
  await t.step("a resume", () => {
    const { request_content: request } = vectors.resume;
    assert.deepEqual(said.resumed, { request, end: null, sent: vectors.resumed.received, live: true });
    assert.equal(said.gone.request, request);
    assert.deepEqual(said.gone.end?.slice(0, 2), ["Ended", String(vectors.gone.end)]);
  });
  await t.step("answers that the server did not sign are not believed", () => {
    for (const [i, { end, live }] of said.forged.entries()) {
      assert.deepEqual([end?.[0], live], ["ConnectionError", false], FORGED[i]![0]);
    }
  });
  await t.step("frames that are written", () => {
    assert.equal(said.encoded, [FRAMES.PONG, FRAMES.PING, FRAMES.ACK, FRAMES.DATA, FRAMES.FIN].join(""));
  });
  await t.step("frames that are read", () => {
    for (const [i, [hex, expected]] of STREAMS.entries()) {
      const { said: bytes, ...rest } = said.decoded[i]!;
      assert(bytes.startsWith(SAME_ACK), hex);
      assert.deepEqual({ ...rest, said: bytes.replaceAll(SAME_ACK, "") }, expected, hex);
    }
  });
});
