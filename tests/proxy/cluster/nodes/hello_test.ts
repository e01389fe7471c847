import assert from "node:assert/strict";
import {
  answerOf,
  challenge,
  type Hello,
  helloOf,
  verifyAnswer,
  verifyHello,
} from "../../../../lib/proxy/cluster/nodes/hello.ts";
import { PeerError } from "../../../../lib/proxy/cluster/nodes/peer_error.ts";
import { sealed, unsealed } from "../../../../lib/proxy/cluster/nodes/sealed.ts";
import { MAX_RECORD } from "../../../../lib/scp/mod.ts";
import { assertFault, EDGE, NODE, PEER_OPTIONS } from "../../../helpers/peer_stage.ts";

const HELLO: Hello = { from: EDGE, to: { slot: 3, epoch: 7 }, kind: "carry" };
const SELF = { identity: NODE, owns: (slot: number, epoch?: number) => slot === 3 && (epoch ?? 7) === 7 };
const NO_SECRETS = { ...PEER_OPTIONS, secrets: [] };

/** What becomes of a hello that says just that, with a MAC that is right. */
function verdictOf(json: unknown, options = PEER_OPTIONS) {
  const said = challenge();
  const text = typeof json === "string" ? json : JSON.stringify(json);
  return verifyHello(said, sealed("hello", [said], text, options.secrets[0]), options, SELF);
}

/** All that a hello says. */
function wholeHello(): Record<string, unknown> {
  return JSON.parse(helloOf(challenge(), HELLO, PEER_OPTIONS).content.split("\n")[1]!);
}

const codeOf = (act: () => unknown): PeerError => {
  try {
    act();
  } catch (error) {
    if (error instanceof PeerError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

Deno.test("the MACs of hello and answer are those that Python's hmac makes", () => {
  const said = '{"v":1,"nonce":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}';
  const secret = "key of peers \u00e9";
  const hello = 'g9zEPcFpmfPFJDYclP/4LFx94/PgIP6hVC6tv/3pAlM=\n{"v":1}';
  assert.equal(sealed("hello", [said], '{"v":1}', secret), hello);
  const answer = 'oCX/0EF169VPhMy1MqkzUAt0mkkHC+4dHDOF61EpE6E=\n{"ok":true}';
  assert.equal(sealed("answer", [said, hello], '{"ok":true}', secret), answer);
  assert.deepEqual(unsealed("answer", [said, hello], answer, ["another", secret]), { json: '{"ok":true}', secret });
});

Deno.test("a hello of which any bit is changed is refused, and nothing of it believed", () => {
  const said = challenge();
  const { content } = helloOf(said, HELLO, PEER_OPTIONS);
  assert(!verifyHello(said, content, PEER_OPTIONS, SELF).refusal, "it is refused as it is");
  for (let at = 0; at < content.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = content.slice(0, at) + String.fromCharCode(content.charCodeAt(at) ^ 1 << bit) +
        content.slice(at + 1);
      const { refusal, secret } = verifyHello(said, changed, PEER_OPTIONS, SELF);
      assert.match(refusal?.reason ?? "", /knows none of the secrets/, `byte ${at}, bit ${bit}`);
      assert.equal(secret, undefined);
    }
  }
});

Deno.test("an answer of which any bit is changed is not taken", () => {
  const said = challenge();
  const hello = helloOf(said, HELLO, PEER_OPTIONS);
  const verdict = verifyHello(said, hello.content, PEER_OPTIONS, SELF);
  const content = answerOf(said, hello.content, verdict, NODE);
  assert.deepEqual(verifyAnswer(said, hello, content, PEER_OPTIONS), NODE);
  for (let at = 0; at < content.length; at++) {
    const changed = content.slice(0, at) + String.fromCharCode(content.charCodeAt(at) ^ 1) + content.slice(at + 1);
    assert.equal(codeOf(() => verifyAnswer(said, hello, changed, PEER_OPTIONS)).kind, "rejected", `byte ${at}`);
  }
});

Deno.test("a challenge that was changed on its way, so that an older version is spoken, is found out", () => {
  const said = challenge();
  const changed = JSON.stringify({ ...JSON.parse(said), v: 2 });
  const { content } = helloOf(changed, HELLO, PEER_OPTIONS);
  assert.match(verifyHello(said, content, PEER_OPTIONS, SELF).refusal!.reason, /knows none of the secrets/);
});

Deno.test("a refusal that is not proved says that it is rejected, whatever it says", () => {
  const said = challenge();
  const hello = helloOf(said, HELLO, PEER_OPTIONS);
  for (const code of ["gone", "elsewhere", "self"]) {
    const forged = `\n${JSON.stringify({ ok: false, code, reason: "so there" })}`;
    assertFault(codeOf(() => verifyAnswer(said, hello, forged, PEER_OPTIONS)), "rejected", /so there/);
  }
});

Deno.test("a hello is not taken for an answer, nor an answer for a hello", () => {
  const said = challenge();
  const hello = helloOf(said, HELLO, PEER_OPTIONS);
  const asAnswer = sealed("hello", [said, hello.content], JSON.stringify({ ok: true, v: 1, from: NODE }), "a secret");
  assertFault(codeOf(() => verifyAnswer(said, hello, asAnswer, PEER_OPTIONS)), "rejected", /none of our secrets/);
  const asHello = sealed("answer", [said], JSON.stringify(wholeHello()), "a secret");
  assert.match(verifyHello(said, asHello, PEER_OPTIONS, SELF).refusal!.reason, /knows none of the secrets/);
});

Deno.test("a hello is as the older end speaks: a newer challenge is answered in version 1, of 0 there is none", () => {
  const saidBy = (v: unknown) => JSON.stringify({ ...JSON.parse(challenge()), v });
  assert.equal(JSON.parse(helloOf(saidBy(2), HELLO, PEER_OPTIONS).content.split("\n")[1]!).v, 1);
  assertFault(codeOf(() => helloOf(saidBy(0), HELLO, PEER_OPTIONS)), "rejected", /version is 0/);
  for (const v of [-1, 1.5, "1", null, 2 ** 60, undefined]) {
    assertFault(codeOf(() => helloOf(saidBy(v), HELLO, PEER_OPTIONS)), "rejected", /no challenge/);
  }
});

Deno.test("a version that was not said to be had is refused, and a hello of another one may be of any form", () => {
  assert.match(verdictOf({ v: 0 }).refusal!.reason, /version is 0/);
  assert.match(verdictOf({ v: 2, something: "new" }).refusal!.reason, /version is 2/);
  assert(!verdictOf({ ...wholeHello(), something: "new" }).refusal, "what is new in a version is left alone");
});

Deno.test("what is no hello is refused, whatever it is", () => {
  const whole = wholeHello();
  assert(!verdictOf(whole).refusal, "it is one");
  const from = (change: unknown) => ({ ...whole, from: { ...EDGE, ...change as object } });
  const wrong: unknown[] = [
    ...["", "{", "null", "[]", "1", '"text"', '{"v":1}', "{}"],
    ...["cluster", "layout", "from", "to", "kind", "nonce"].map((key) => ({ ...whole, [key]: undefined })),
    ...["cluster", "layout", "from", "to", "kind", "nonce"].map((key) => ({ ...whole, [key]: 7 })),
    { ...whole, layout: { slots: 64 } },
    { ...whole, kind: "constructor" },
    { ...whole, nonce: "AAAA" },
    ...[{ slot: -1 }, { slot: 1.5 }, { epoch: "7" }, { slot: null }].map((to) => ({ ...whole, to })),
    ...[{ instance: "" }, { instance: "a b" }, { instance: "x".repeat(65) }, { role: "king" }, { slot: 3 }].map(from),
    ...[{ addr: "10.0.0.1:1" }, { addr: { hostname: "a\nb", port: 1 } }, { addr: { hostname: "a", port: 65536 } }].map(
      from,
    ),
  ];
  for (const each of wrong) {
    const { refusal } = verdictOf(each);
    assert.equal(refusal?.code, "rejected", JSON.stringify(each));
  }
});

Deno.test("what a peer says in answer is bounded, and no answer is taken that is none", () => {
  const said = challenge();
  const hello = helloOf(said, HELLO, PEER_OPTIONS);
  const wrong: unknown[] = [
    ...["", "{", "null", "[]", "{}"],
    { ok: true, v: 1 },
    { ok: true, v: 1, from: { ...NODE, instance: "" } },
    { ok: false, code: "constructor", reason: "" },
    { ok: false, code: "gone", reason: "x".repeat(601) },
  ];
  for (const each of wrong) {
    const json = typeof each === "string" ? each : JSON.stringify(each);
    const answer = sealed("answer", [said, hello.content], json, "a secret");
    assertFault(codeOf(() => verifyAnswer(said, hello, answer, PEER_OPTIONS)), "rejected", /no answer of a peer/);
  }
  const other = sealed("answer", [said, hello.content], JSON.stringify({ ok: true, v: 2, from: NODE }), "a secret");
  assertFault(codeOf(() => verifyAnswer(said, hello, other, PEER_OPTIONS)), "rejected", /version 2/);
});

Deno.test("each refusal goes into a record, whatever the names are, and into a few hundred bytes for a stranger", () => {
  for (const [here, there] of [["\u2603", "\u2604"], ["\u0001", "\u0002"]] as const) {
    const options = { ...PEER_OPTIONS, name: here.repeat(80) };
    const said = challenge();
    const hello = helloOf(said, HELLO, { ...options, name: there.repeat(80) });
    const answer = answerOf(said, hello.content, verifyHello(said, hello.content, options, SELF), NODE);
    assert(answer.length <= MAX_RECORD, `${answer.length} bytes`);
    const error = codeOf(() => verifyAnswer(said, hello, answer, options));
    for (const name of [here, there]) assert(error.message.includes(JSON.stringify(name).slice(1, -1)), error.message);
  }
  const said = challenge();
  const strange = verifyHello(said, "who are you", PEER_OPTIONS, SELF);
  assert(said.length + answerOf(said, "who are you", strange, NODE).length < 300);
});

Deno.test("a hello that does not go into a record is not said", () => {
  const options = { ...PEER_OPTIONS, name: "x".repeat(1000) };
  assertFault(codeOf(() => helloOf(challenge(), HELLO, options)), "rejected", /cluster\.name is too long/);
});

Deno.test("a peer of a slot that there is not is refused, at either end", () => {
  const of = (slot: number) => ({ ...NODE, instance: "another", slot });
  assert(!verdictOf({ ...wholeHello(), from: of(63) }).refusal);
  assert.match(verdictOf({ ...wholeHello(), from: of(64) }).refusal!.reason, /64 slots, and none is 64/);
  const said = challenge();
  const hello = helloOf(said, HELLO, PEER_OPTIONS);
  const answer = answerOf(said, hello.content, { secret: "a secret", hello: HELLO, v: 1 }, of(64));
  assertFault(codeOf(() => verifyAnswer(said, hello, answer, PEER_OPTIONS)), "rejected", /none is 64/);
});

Deno.test("without secrets nothing is proved here, and one end that has some refuses", () => {
  const said = challenge();
  const bare = helloOf(said, HELLO, NO_SECRETS);
  assert(bare.content.startsWith("\n{"));
  assert(!verifyHello(said, bare.content, NO_SECRETS, SELF).refusal);
  assert.match(verifyHello(said, bare.content, PEER_OPTIONS, SELF).refusal!.reason, /knows none/);
  const proved = helloOf(said, HELLO, PEER_OPTIONS);
  assert.match(verifyHello(said, proved.content, NO_SECRETS, SELF).refusal!.reason, /who is dialled none/);
  const answer = answerOf(said, proved.content, { secret: undefined, hello: HELLO, v: 1 }, NODE);
  assertFault(codeOf(() => verifyAnswer(said, proved, answer, PEER_OPTIONS)), "rejected", /none of our secrets/);
});
